/** The extents of a device as replies need them: neighbours differ, none is empty, and together they are the range, no more, no less. */
import type { BlockDevice, DeviceExtent } from "../../ports/block-device.ts";

export async function* deviceExtents(
  device: BlockDevice,
  offset: number,
  length: number,
  signal: AbortSignal,
): AsyncGenerator<DeviceExtent> {
  const end = offset + length;
  let last: DeviceExtent | undefined;
  for await (const { kind, offset: start, length: size } of device.extents(offset, length, signal)) {
    const at = last === undefined ? offset : last.offset + last.length;
    const until = Math.min(end, start + size);
    if (until <= at) continue;
    if (last?.kind === kind) {
      last = { ...last, length: until - last.offset };
      continue;
    }
    if (last !== undefined) yield last;
    last = { kind, offset: at, length: until - at };
  }
  // Where the device says less, the rest may hold anything.
  const at = last === undefined ? offset : last.offset + last.length;
  if (last !== undefined && (at === end || last.kind === "zero")) yield last;
  if (at === end) return;
  const from = last?.kind === "data" ? last.offset : at;
  yield { kind: "data", offset: from, length: end - from };
}
