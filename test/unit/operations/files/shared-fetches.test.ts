import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SharedFetches } from "../../../../shared/operations/files/shared-fetches.ts";

const signal = new AbortController().signal;

/** Fetches that end when the test says so. */
function held(maxWeight: number) {
  const started: {
    readonly key: string;
    readonly signal: AbortSignal;
    end: (value: string) => void;
    fail: (error: Error) => void;
  }[] = [];
  const cache = new SharedFetches<string, string>({
    maxWeight,
    weigh: (value) => value.length,
    fetch: (key, aborted) =>
      new Promise((end, fail) => {
        started.push({ key, signal: aborted, end, fail });
        aborted.addEventListener("abort", () => fail(aborted.reason as Error));
      }),
  });
  return { cache, started };
}

describe("Fetches that are shared", () => {
  test("are one for all who want the key at one time, and none for who comes later", async () => {
    const { cache, started } = held(100);
    const both = [cache.get("a", signal), cache.get("a", signal)];
    started[0]?.end("A");
    expect(await Promise.all(both)).toEqual(["A", "A"]);
    expect(await cache.get("a", signal)).toBe("A");
    expect(started.length).toBe(1);
  });

  test("go on while anybody waits, and are cancelled when the last one leaves", async () => {
    const { cache, started } = held(100);
    const [one, other] = [new AbortController(), new AbortController()];
    const waits = [cache.get("a", one.signal), cache.get("a", other.signal)];
    one.abort(new Error("one left"));
    await expect(waits[0]).rejects.toThrow("one left");
    expect(started[0]?.signal.aborted).toBe(false);
    other.abort(new Error("the other left"));
    await expect(waits[1]).rejects.toThrow("the other left");
    expect(started[0]?.signal.aborted).toBe(true);
    // Who comes now must not meet the cancelled one.
    const fresh = cache.get("a", signal);
    started[1]?.end("A");
    expect(await fresh).toBe("A");
  });

  test("are tried again after a failure", async () => {
    const { cache, started } = held(100);
    const first = cache.get("a", signal);
    started[0]?.fail(new Error("no"));
    await expect(first).rejects.toThrow("no");
    const second = cache.get("a", signal);
    started[1]?.end("A");
    expect(await second).toBe("A");
  });

  test("never begin for a signal that is aborted already", async () => {
    const { cache, started } = held(100);
    await expect(cache.get("a", AbortSignal.abort(new Error("late")))).rejects.toThrow("late");
    expect(started.length).toBe(0);
  });

  test("keep no more than the bound, and what was used last", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 30 }),
        fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 60 }),
        async (maxWeight, keys) => {
          const fetched: number[] = [];
          const cache = new SharedFetches<number, string>({
            maxWeight,
            weigh: (value) => value.length,
            fetch: async (key) => {
              fetched.push(key);
              return "x".repeat(key);
            },
          });
          let recent: number[] = [];
          for (const key of keys) {
            const expected = recent.includes(key);
            const before = fetched.length;
            expect((await cache.get(key, signal)).length).toBe(key);
            await Promise.resolve();
            expect(fetched.length === before).toBe(expected);
            expect(cache.weight).toBeLessThanOrEqual(maxWeight);
            if (key <= maxWeight) recent = [...recent.filter((one) => one !== key), key];
            while (recent.reduce((sum, one) => sum + one, 0) > maxWeight) recent.shift();
          }
        },
      ),
    );
  });
});
