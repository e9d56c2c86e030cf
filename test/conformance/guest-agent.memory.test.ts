/** The guest agent against a real HTTP guest of this process. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HttpGuestAgent } from "../../shared/adapters/azure/http-guest-agent.ts";
import { attemptId } from "../../shared/core/ids.ts";
import { startGuestServer, type GuestServer } from "../support/guest-server.ts";
import { sampleRunId } from "../support/sample-rows.ts";

const agent = new HttpGuestAgent();
const signal = AbortSignal.timeout(60_000);
const token = attemptId(sampleRunId(1), 1);
const otherToken = attemptId(sampleRunId(1), 2);
const ask = { ttlSeconds: 60, token };

let guest: GuestServer;
beforeEach(async () => {
  guest = await startGuestServer();
});
afterEach(async () => guest.close());

describe("A guest", () => {
  test.each(["application", "filesystem"] as const)(
    "is frozen at the level %s that it says, and thawed",
    async (level) => {
      guest.level = level;
      expect(await agent.freeze(guest.url, ask, signal)).toEqual({ level });
      expect(await agent.state(guest.url, signal)).toEqual({ frozen: true, level, token });
      expect(await agent.thaw(guest.url, token, signal)).toEqual({ wasFrozen: true });
      expect(await agent.state(guest.url, signal)).toEqual({ frozen: false });
      expect(guest.history).toEqual(["freeze", "state", "thaw", "state"]);
    },
  );

  test("that thawed by itself says so at the thaw", async () => {
    await agent.freeze(guest.url, { ttlSeconds: 1, token }, signal);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(guest.isFrozen).toBe(false);
    expect(await agent.thaw(guest.url, token, signal)).toEqual({ wasFrozen: false });
  });

  test("is not thawed by a late thaw of an older attempt", async () => {
    await agent.freeze(guest.url, { ...ask, token: otherToken }, signal);
    expect(await agent.thaw(guest.url, token, signal)).toEqual({ wasFrozen: false });
    expect(guest.isFrozen).toBe(true);
  });

  test("that knows no tokens is frozen and thawed all the same", async () => {
    guest.knowsTokens = false;
    await agent.freeze(guest.url, ask, signal);
    expect(await agent.state(guest.url, signal)).toEqual({ frozen: true, level: "filesystem" });
    expect(await agent.thaw(guest.url, token, signal)).toEqual({});
    expect(guest.isFrozen).toBe(false);
  });

  test("is reached under a path, with a slash at the end of its URL or without", async () => {
    await expect(agent.state(`${guest.url}/`, signal)).resolves.toEqual({ frozen: false });
    await expect(agent.state(`${guest.url}/hooks`, signal)).rejects.toThrow(/answered 404/);
  });
});

describe("A guest that fails", () => {
  test("by not answering is given up before half its limit has passed", async () => {
    guest.fail("no-answer");
    const begin = performance.now();
    await expect(agent.freeze(guest.url, { ttlSeconds: 2, token }, signal)).rejects.toMatchObject({
      code: "guest-failed",
      message: expect.stringMatching(/127\.0\.0\.1:\d+ did not freeze: no answer within 1 s/),
    });
    expect(performance.now() - begin).toBeLessThan(1900);
  });

  test("by hanging once it is frozen thaws by itself", async () => {
    guest.fail("freeze-without-answer");
    await expect(agent.freeze(guest.url, { ttlSeconds: 1, token }, signal)).rejects.toMatchObject({
      code: "guest-failed",
    });
    expect(guest.isFrozen).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(guest.history).toEqual(["freeze", "self-thaw"]);
  });

  test.each([
    ["refuse", /answered 503/],
    ["garbage", /not what was agreed \(frozen\)/],
  ] as const)("by the answer %s is guest-failed", async (fault, why) => {
    guest.fail(fault);
    const failure = agent.freeze(guest.url, ask, signal);
    await expect(failure).rejects.toMatchObject({ code: "guest-failed", message: expect.stringMatching(why) });
  });

  test("by not being there is guest-failed, and the message shows the host and no secret", async () => {
    const url = guest.url.replace("http://", "http://user:hunter2@");
    await guest.close();
    const failure = agent.thaw(`${url}/secret-path?key=SECRET`, token, signal);
    await expect(failure).rejects.toMatchObject({
      code: "guest-failed",
      message: expect.stringMatching(/ECONNREFUSED/),
    });
    await expect(failure).rejects.not.toThrow(/hunter2|secret/i);
  });

  test("by having no URL is guest-failed", async () => {
    await expect(agent.state("ftp://guest", signal)).rejects.toMatchObject({ code: "guest-failed" });
    await expect(agent.state("guest", signal)).rejects.toMatchObject({ code: "guest-failed" });
  });

  test("while the caller gives up leaves the caller its own reason", async () => {
    guest.fail("no-answer");
    const caller = AbortSignal.timeout(100);
    await expect(agent.freeze(guest.url, ask, caller)).rejects.toMatchObject({ name: "TimeoutError" });
  });
});
