/**
 * Whether a storage account's changed-page list can be believed: on a small page blob of our own, write, snapshot, change, and
 * compare the list with what was done. Whatever is not exactly right is `wrong`; an emulator that gives every page is.
 *
 * Writes are of 64 KiB at multiples of 64 KiB, so that a service that tracks changes more coarsely than by 512 bytes can be exact.
 */
import { randomUUID } from "node:crypto";
import type { ContainerClient, PageBlobClient } from "@azure/storage-blob";
import { FarsideError, type ErrorCode } from "../../core/errors.ts";
import type { ChangedRange } from "../../ports/disk-source.ts";
import { storageCall } from "./storage-call.ts";

const unit = 64 * 1024;
const probeBytes = 64 * unit;
const namePrefix = "farside-probe-";
/** A probe blob that is older was left behind by a death. */
const leftOverAfterMs = 3_600_000;
const answersNo: readonly ErrorCode[] = ["internal", "conflict", "not-found"];

type ListChanges = (client: PageBlobClient, parent: string, signal: AbortSignal) => Promise<readonly ChangedRange[]>;

/** In the container of the disks, where the app is known to have access. `list` lists the changes of the whole blob. */
export async function probeDiff(
  container: ContainerClient,
  list: ListChanges,
  signal: AbortSignal,
): Promise<{ diff: "exact" | "wrong"; note?: string }> {
  await removeLeftOvers(container, signal);
  const client = container.getPageBlobClient(`${namePrefix}${randomUUID()}.vhd`);
  try {
    return await probe(client, list, signal);
  } finally {
    // Also when the caller gave up: it leaves nothing behind.
    await remove(client, AbortSignal.timeout(30_000));
  }
}

async function probe(client: PageBlobClient, list: ListChanges, signal: AbortSignal) {
  const call = <T>(action: (abortSignal: AbortSignal) => Promise<T>): Promise<T> =>
    storageCall("probe the changed-page list on a page blob made for it", signal, action);
  const write = (at: number, value: number): Promise<unknown> =>
    call((abortSignal) => client.uploadPages(new Uint8Array(unit).fill(value), at * unit, unit, { abortSignal }));
  await call((abortSignal) => client.create(probeBytes, { abortSignal }));
  for (const at of [0, 8, 16, 24]) await write(at, 1);
  const parent = await call((abortSignal) => client.createSnapshot({ abortSignal }));
  await call((abortSignal) => client.clearPages(8 * unit, unit, { abortSignal }));
  await write(16, 2);
  await write(40, 3);
  const child = await call((abortSignal) => client.createSnapshot({ abortSignal }));
  // After the second snapshot: this change is not between the two.
  await write(48, 4);
  const expected: readonly ChangedRange[] = [
    { kind: "zero", offset: 8 * unit, length: unit },
    { kind: "data", offset: 16 * unit, length: unit },
    { kind: "data", offset: 40 * unit, length: unit },
  ];
  let found: readonly ChangedRange[];
  try {
    found = await list(client.withSnapshot(child.snapshot ?? ""), parent.snapshot ?? "", signal);
  } catch (error) {
    // A service that does not know such a list answers so; anything that may pass is not for us to judge.
    if (error instanceof FarsideError && answersNo.includes(error.code)) {
      return { diff: "wrong" as const, note: error.message };
    }
    throw error;
  }
  if (JSON.stringify(found.map(written)) === JSON.stringify(expected.map(written))) return { diff: "exact" as const };
  return { diff: "wrong" as const, note: `Changed were ${describe(expected)}; it listed ${describe(found)}.` };
}

async function remove(client: PageBlobClient, signal: AbortSignal): Promise<void> {
  await storageCall("probe the changed-page list on a page blob made for it", signal, (abortSignal) =>
    client.deleteIfExists({ deleteSnapshots: "include", abortSignal }),
  );
}

async function removeLeftOvers(container: ContainerClient, signal: AbortSignal): Promise<void> {
  const old = await storageCall(`list the container ${container.containerName}`, signal, async (abortSignal) => {
    const names: string[] = [];
    // Ages by the blobs' own service: its clock made both instants.
    for await (const page of container
      .listBlobsFlat({ prefix: namePrefix, abortSignal })
      .byPage({ maxPageSize: 100 })) {
      const now = page.date?.getTime() ?? 0;
      for (const { name, properties } of page.segment.blobItems) {
        if (now - properties.lastModified.getTime() > leftOverAfterMs) names.push(name);
      }
      break;
    }
    return names;
  });
  for (const name of old) await remove(container.getPageBlobClient(name), signal);
}

const written = ({ kind, offset, length }: ChangedRange): string => `${kind} ${offset} ${length}`;

function describe(ranges: readonly ChangedRange[]): string {
  const shown = ranges.slice(0, 8).map(({ kind, offset, length }) => `${kind} ${offset}+${length}`);
  return `${shown.join(", ")}${ranges.length > 8 ? ", …" : ""}` || "nothing";
}
