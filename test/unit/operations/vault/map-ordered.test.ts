import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { mapOrdered } from "../../../../shared/operations/vault/map-ordered.ts";
import { collect, signal } from "../../../support/vault/vault-fixture.ts";

const numbers = Array.from({ length: 20 }, (_, at) => at);

describe("Mapping in order", () => {
  test("gives results in the order of the items, never more than so many at work, waiting or in the taker's hand", async () => {
    let started = 0;
    let taken = 0;
    let most = 0;
    const work = async (n: number): Promise<number> => {
      started += 1;
      most = Math.max(most, started - taken);
      await sleep((n * 7) % 5);
      return n;
    };
    const results: number[] = [];
    for await (const result of mapOrdered(numbers, 4, work, signal)) {
      results.push(result);
      await sleep(1);
      taken += 1;
    }
    expect(results).toEqual(numbers);
    expect(most).toBe(4);
  });

  test("aborts what is under way when the taker leaves, and leaves nothing running", async () => {
    const ended: string[] = [];
    const work = (n: number, aborted: AbortSignal) =>
      sleep(n === 0 ? 0 : 60_000, n, { signal: aborted }).then(
        (value) => value,
        (error: unknown) => {
          ended.push(`aborted ${n}`);
          throw error;
        },
      );
    for await (const first of mapOrdered(numbers, 3, work, signal)) {
      expect(first).toBe(0);
      break;
    }
    expect(ended).toEqual(["aborted 1", "aborted 2"]);
  });

  test("throws the failure of an item in its turn, after the results before it", async () => {
    const seen: number[] = [];
    const work = async (n: number): Promise<number> => {
      if (n === 3) throw new Error("three");
      await sleep(2);
      return n;
    };
    const taking = (async () => {
      for await (const n of mapOrdered(numbers, 8, work, signal)) seen.push(n);
    })();
    await expect(taking).rejects.toThrow("three");
    expect(seen).toEqual([0, 1, 2]);
  });

  test("ends its source when the taker leaves", async () => {
    let closed = false;
    const source = (async function* () {
      try {
        for (;;) yield 1;
      } finally {
        closed = true;
      }
    })();
    for await (const _ of mapOrdered(source, 2, async (n) => n, signal)) break;
    expect(closed).toBe(true);
  });

  test("stops under an aborted signal", async () => {
    const controller = new AbortController();
    const taking = collect(
      mapOrdered(
        numbers,
        2,
        async (n) => {
          if (n === 5) controller.abort(new Error("enough"));
          return n;
        },
        controller.signal,
      ),
    );
    await expect(taking).rejects.toThrow("enough");
  });
});
