/** The guest's side of a disk of the local ARM, and the count of requests, as docs/local-arm.md describes them. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LocalArmClient } from "../../../local/arm/local-client.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

const never = new AbortController().signal;
const gib = 1024 ** 3;

let region: ManagedRegion;
let vm: ManagedVm;
let client: LocalArmClient;
let disk: string;

beforeEach(async () => {
  region = await startManagedRegion({ now: Date.now });
  vm = await region.addVm("web", 1);
  client = new LocalArmClient(region.server.url, never);
  disk = vm.diskIds[0] ?? "";
});
afterEach(() => region.stop());

test("A guest writes pages of its disk, gives them back, and reads what it holds", async () => {
  const content = randomBytes(8192);
  await client.guestWrites(disk, 4096, content);
  expect(await vm.read(0, 4096, 8192)).toEqual(new Uint8Array(content));
  await client.guestTrims(disk, 8192, 512);
  content.fill(0, 4096, 4608);
  expect((await client.diskHolds(disk, 4096, 8192)).equals(content)).toBe(true);
});

test("What no guest can do is refused in words: beyond the disk, half pages, on a VM that stands still, on no disk", async () => {
  const page = new Uint8Array(512);
  await expect(client.guestWrites(disk, gib, page)).rejects.toThrow(/400.*beyond the disk, which has 1073741824/);
  await expect(client.guestWrites(disk, 100, page)).rejects.toThrow(/400.*not whole pages/);
  await expect(client.guestWrites(disk, 0, new Uint8Array(100))).rejects.toThrow(/400.*not whole pages/);
  await expect(client.guestWrites(disk, 0, new Uint8Array(4 * 1024 ** 2 + 512))).rejects.toThrow(/400.*more than/);
  await expect(client.guestWrites(`${disk}-other`, 0, page)).rejects.toThrow(/404.*ResourceNotFound/);
  await expect(client.guestWrites(vm.resourceId, 0, page)).rejects.toThrow(/400.*is no disk/);
  await region.client.virtualMachines.deallocate(group, "web", { updateIntervalInMs: 1 });
  await expect(client.guestWrites(disk, 0, page)).rejects.toThrow(/409.*does not run/);
  await expect(client.guestTrims(disk, 0, 512)).rejects.toThrow(/409.*does not run/);
  expect(await client.diskHolds(disk, 0, 512)).toEqual(Buffer.alloc(512));
});

test("Requests to ARM are counted by their kind, and nothing else is", async () => {
  const before = await client.requests();
  await region.client.disks.get(group, "web-0");
  await client.guestWrites(disk, 0, new Uint8Array(512));
  const after = await client.requests();
  expect(after).toEqual({ ...before, reads: before.reads + 1 });
});

test("Nobody without a token is served, as a web page would be", async () => {
  const answer = await fetch(`${region.server.url}/local/requests`);
  expect(answer.status).toBe(401);
});

test("A copy of a disk keeps what it held at its instant, however its guest goes on", async () => {
  const [before, after] = [randomBytes(512), randomBytes(512)];
  await client.guestWrites(disk, 0, before);
  const creationData = { createOption: "Copy" as const, sourceResourceId: disk };
  const copy = await region.client.disks.createOrUpdate(
    group,
    "copy",
    { location: "westeurope", creationData },
    { updateIntervalInMs: 1 },
  );
  await client.guestWrites(disk, 0, after);
  expect((await client.diskHolds(copy.id ?? "", 0, 512)).equals(before)).toBe(true);
  expect((await client.diskHolds(disk, 0, 512)).equals(after)).toBe(true);
});
