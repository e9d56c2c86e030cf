/** $STANDARD_INFORMATION: times and attributes of a file. Layout: fs/ntfs3/ntfs.h, `ATTR_STD_INFO`; attributes: [MS-FSCC] 2.6. */
import type { ByteView } from "../../byte-view.ts";

export const fileAttributes = {
  readOnly: 0x1,
  system: 0x4,
  reparsePoint: 0x400,
  offline: 0x1000,
  recallOnDataAccess: 0x400000,
} as const;

export interface StandardInformation {
  readonly createdNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
  readonly attributes: number;
}

/** From 1601-01-01 to 1970-01-01, in units of 100 ns. */
const epochDistance = 116_444_736_000_000_000n;

export function parseStandardInformation(view: ByteView): StandardInformation {
  return {
    createdNs: time(view, 0),
    modifiedNs: time(view, 8),
    changedNs: time(view, 16),
    attributes: view.u32le(32),
  };
}

function time(view: ByteView, at: number): bigint {
  return (BigInt.asIntN(64, view.big64le(at)) - epochDistance) * 100n;
}
