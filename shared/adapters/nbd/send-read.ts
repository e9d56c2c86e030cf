/** What a read is answered with: data in chunks, holes without their zeros. */
import { encodeDataHead, encodeDone, encodeHole, encodeSimpleReply } from "../../core/nbd/replies.ts";
import { preferredBlockBytes } from "../../core/nbd/option-replies.ts";
import type { BlockDevice, DeviceExtent } from "../../ports/block-device.ts";
import type { Budget } from "./budget.ts";
import { deviceExtents } from "./device-extents.ts";
import type { Wire } from "./wire.ts";

export interface ReadJob {
  readonly wire: Wire;
  readonly device: BlockDevice;
  /** Bytes that this connection may have in flight. */
  readonly budget: Budget;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
  readonly signal: AbortSignal;
}

/** Of one request, read and sent at once; the client puts them in order. */
const stretchesAtOnce = 4;

/** In chunks. Throws what the device throws, when nothing more of this reply is to come: an error chunk may end it then. */
export async function sendChunks(job: ReadJob): Promise<void> {
  const sent = await eachStretch(job, (stretch) => sendStretch(job, stretch));
  if (sent > 1) await job.budget.using(1, () => job.wire.write(encodeDone(job.cookie)));
}

/** Reads without sending: what lies behind the device keeps it for the reads to come. */
export async function fillCache(job: ReadJob): Promise<void> {
  await eachStretch(job, async ({ kind, offset, length }) => {
    if (kind === "data") await job.budget.using(length, () => job.device.read(offset, length, job.signal));
  });
}

/** Says how many there were. Throws the first error, when nothing is under way any more. */
async function eachStretch(job: ReadJob, work: (stretch: DeviceExtent) => Promise<unknown>): Promise<number> {
  const running = new Set<Promise<unknown>>();
  let count = 0;
  let failed: { readonly error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failed ??= { error };
  };
  try {
    for await (const stretch of stretches(job)) {
      count += 1;
      const one = work(stretch)
        .catch(fail)
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= stretchesAtOnce) await Promise.race(running);
      if (failed !== undefined) break;
    }
  } catch (error) {
    fail(error);
  }
  await Promise.all(running);
  if (failed !== undefined) throw failed.error;
  return count;
}

/** The only one of its reply is its end too. */
function sendStretch(job: ReadJob, { kind, offset, length }: DeviceExtent): Promise<void> {
  const { wire, device, budget, cookie, signal } = job;
  const only = length === job.length;
  if (kind === "zero") return budget.using(1, () => wire.write(encodeHole(cookie, offset, length, only)));
  return budget.using(length, async () => {
    const content = await device.read(offset, length, signal);
    await wire.write(encodeDataHead(cookie, offset, length, only), content);
  });
}

/** In one chunk of data, as the client asked for. Not longer than the budget. */
export async function sendWhole(job: ReadJob): Promise<void> {
  const { wire, device, budget, cookie, offset, length, signal } = job;
  await budget.using(length, async () => {
    const content = await device.read(offset, length, signal);
    await wire.write(encodeDataHead(cookie, offset, length, true), content);
  });
}

/** Without chunks, for clients that do not know them. False: it failed when the reply had begun, so the connection must end. */
export async function sendSimple(job: ReadJob): Promise<boolean> {
  const { wire, device, budget, cookie, offset, length, signal } = job;
  const head = encodeSimpleReply(cookie, 0);
  if (length <= budget.size) {
    await budget.using(length, async () => {
      const content = await device.read(offset, length, signal);
      await wire.write(head, content);
    });
    return true;
  }
  // The whole budget is held: every reply takes some of it, so that none comes between the pieces.
  return budget.using(budget.size, async () => {
    for (let at = offset; at < offset + length; at += budget.size) {
      try {
        const content = await device.read(at, Math.min(budget.size, offset + length - at), signal);
        await wire.write(...(at === offset ? [head, content] : [content]));
      } catch (error) {
        if (at === offset) throw error;
        return false;
      }
    }
    return true;
  });
}

/** The range cut where data and zeros meet; data also where the preferred blocks end, for one fetch each. */
async function* stretches({ device, budget, offset, length, signal }: ReadJob): AsyncGenerator<DeviceExtent> {
  const pieceBytes = Math.min(preferredBlockBytes, budget.size);
  for await (const extent of deviceExtents(device, offset, length, signal)) {
    if (extent.kind === "zero") {
      yield extent;
      continue;
    }
    const end = extent.offset + extent.length;
    for (let at = extent.offset; at < end;) {
      const next = Math.min(end, (Math.floor(at / pieceBytes) + 1) * pieceBytes);
      yield { kind: "data", offset: at, length: next - at };
      at = next;
    }
  }
}
