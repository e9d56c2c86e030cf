/** What block status says of a range: from the device's index alone, no data is read. */
import type { StatusExtent } from "../../core/nbd/replies.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import { deviceExtents } from "./device-extents.ts";

/** Of one reply, 64 KiB of it. The protocol asks for at most 2^20, and lets a client ask again for the rest. */
const longestReplyExtents = 8192;
/** The longest range of one reply: a finely striped one has very many stretches, even where all are alike. */
const longestRangeBytes = 1024 ** 3;

/** From `offset` on without gaps, at least one; may stop short of `length`, never beyond. */
export async function blockStatus(
  device: BlockDevice,
  range: { readonly offset: number; readonly length: number; readonly one: boolean },
  signal: AbortSignal,
): Promise<readonly StatusExtent[]> {
  const found: StatusExtent[] = [];
  const looked = Math.min(range.length, longestRangeBytes);
  for await (const { kind, length } of deviceExtents(device, range.offset, looked, signal)) {
    found.push({ kind, length });
    if (range.one || found.length === longestReplyExtents) break;
  }
  return found;
}
