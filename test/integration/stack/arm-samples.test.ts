/** The making of the sample VMs, broken off at any request and begun again. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startArmServer, type ArmServer } from "../../../local/arm/arm-server.ts";
import { propertiesOf } from "../../../local/arm/resources.ts";
import { makeSampleVms, sampleVmIds } from "../../../local/arm/samples/sample-vms.ts";

let folder: string;
let server: ArmServer;
let onRequest: () => void = () => undefined;

const start = () => startArmServer({ folder, now: Date.now, takes: () => 0, onRequest: () => onRequest() });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-samples-test-"));
  server = await start();
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** Of the making of both, as it is counted below. */
async function requestsOfAll(): Promise<number> {
  let count = 0;
  onRequest = () => void (count += 1);
  await makeSampleVms(server.url, new AbortController().signal);
  onRequest = () => undefined;
  return count;
}

test("Two VMs with their disks, networks and tags come out, wherever an earlier start was broken off, and nothing more", async () => {
  const all = await requestsOfAll();
  const whole = server.arm.resources.all().map(({ id }) => id);
  expect(whole.filter((id) => id.includes("/virtualMachines/"))).toEqual(sampleVmIds);
  // In the upload of the first disk, and when the first VM stands.
  for (const part of [0.08, 0.7]) {
    for (const { id } of server.arm.resources.all()) server.arm.resources.remove(id);
    const broken = new AbortController();
    let left = Math.floor(all * part);
    onRequest = () => {
      if (--left === 0) broken.abort();
    };
    await expect(makeSampleVms(server.url, broken.signal)).rejects.toThrow(/abort/i);
    onRequest = () => undefined;
    await server.stop();
    server = await start();
    await makeSampleVms(server.url, new AbortController().signal);
    expect(
      server.arm.resources
        .all()
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(whole.toSorted());
    for (const one of server.arm.resources.all()) {
      const unattached = one.type.endsWith("/disks") ? { diskState: "Unattached" } : {};
      expect(propertiesOf(one)).toMatchObject({ provisioningState: "Succeeded", ...unattached });
    }
  }
  // Made once: a second start finds them as somebody has left them.
  await makeSampleVms(server.url, new AbortController().signal);
  const web = server.arm.resources.require(sampleVmIds[0] ?? "");
  expect(web.body["tags"]).toEqual({ "farside-policy": "daily", role: "web" });
});
