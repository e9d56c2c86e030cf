import { describe, expect, test } from "vitest";
import { jsonEventLog, withoutSecrets } from "../../../../shared/adapters/local/json-event-log.ts";
import { systemClock } from "../../../../shared/adapters/local/system-clock.ts";
import { systemRandom } from "../../../../shared/adapters/local/system-random.ts";

describe("The clock of the system", () => {
  test("sleeps as long as it is asked to", async () => {
    const begin = systemClock.monotonic();
    await systemClock.sleep(30, new AbortController().signal);
    expect(systemClock.monotonic() - begin).toBeGreaterThanOrEqual(28);
  });

  test("wakes with the signal's own reason, before the sleep and in it, also from one longer than a timer can be", async () => {
    const reason = new Error("enough");
    await expect(systemClock.sleep(1, AbortSignal.abort(reason))).rejects.toBe(reason);
    const caller = new AbortController();
    const asleep = systemClock.sleep(2 ** 40, caller.signal);
    setTimeout(() => caller.abort(reason), 20);
    await expect(asleep).rejects.toBe(reason);
  });
});

test("Chance gives as many bytes as asked for, and others each time", () => {
  expect(systemRandom.bytes(0).length).toBe(0);
  expect(systemRandom.bytes(100_000).length).toBe(100_000);
  expect(systemRandom.bytes(16)).not.toEqual(systemRandom.bytes(16));
});

describe("The event log", () => {
  test("writes one line of JSON an event, of its least level and above", () => {
    const lines: string[] = [];
    const log = jsonEventLog({ clock: { now: () => 0 }, write: (line) => lines.push(line) });
    log.log("debug", "not-shown", {});
    log.log("info", "run-started", { runId: "R", windows: 3, full: true, text: "two\nlines" });
    expect(lines).toEqual([
      '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"run-started","runId":"R","windows":3,"full":true,"text":"two\\nlines"}',
    ]);
  });

  test("takes out what looks like a secret, and nothing else", () => {
    const secrets = [
      "https://a.blob.core.windows.net/c/b?sv=2026&sig=SECRET%2B1&se=x",
      "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=SECRET+/==;BlobEndpoint=https://x",
      "SharedAccessSignature=SECRET;x=y",
      "https://user:SECRET@guest.example/freeze",
      "authorization: Bearer SECRETSECRET.aaa.bbb",
      "SharedKey a:SECRET+/=",
      "https://app/api/x?code=SECRET==&y=1",
    ];
    for (const text of secrets) {
      expect(withoutSecrets(text)).not.toMatch(/SECRET/);
      expect(withoutSecrets(text)).toMatch(/\*\*\*/);
    }
    expect(withoutSecrets(secrets[0] ?? "")).toBe("https://a.blob.core.windows.net/c/b?sv=2026&sig=***&se=x");
    const plain = "The run 01J of web-01 copied 3 windows: http://127.0.0.1:10000/a/b?comp=list";
    expect(withoutSecrets(plain)).toBe(plain);
  });
});
