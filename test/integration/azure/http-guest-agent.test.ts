import { afterAll, beforeAll, expect, test } from "vitest";
import { HttpGuestAgent } from "../../../shared/adapters/azure/http-guest-agent.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";

const signal = AbortSignal.timeout(60_000);
const agent = new HttpGuestAgent({ freezeMs: 500, thawMs: 500, stateMs: 500 });
let guest: GuestServer;
beforeAll(async () => {
  guest = await startGuestServer();
});
afterAll(() => guest.close());

test("A guest that answers in trouble, or not as agreed, is told from one that does not answer", async () => {
  expect(await agent.state(guest.url, signal)).toMatchObject({ frozen: false });
  guest.fail("garbage");
  const answered = { code: "guest-failed", details: { status: expect.any(Number) } };
  await expect(agent.state(guest.url, signal)).rejects.toMatchObject(answered);
  guest.fail("refuse");
  await expect(agent.state(guest.url, signal)).rejects.toMatchObject(answered);
  guest.fail("no-answer");
  const silent = { code: "guest-failed", details: expect.not.objectContaining({ status: expect.anything() }) };
  await expect(agent.state(guest.url, signal)).rejects.toMatchObject(silent);
});
