/**
 * Whether the volume was left clean. Two marks say so: the flag in $VOLUME_INFORMATION, and the restart area of $LogFile. The log itself
 * is not replayed, so a volume that was in use is shown as its clusters are.
 */
import type { FileSystemState } from "../../../ports/file-system.ts";
import { hasCode } from "../../../core/errors.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import { decodeUtf16Name } from "../../utf16-name.ts";
import { attributeTypes } from "./attribute.ts";
import type { NtfsFile } from "./ntfs-file.ts";
import { readMetadata } from "./read-stream.ts";
import { isPowerOfTwo } from "./boot-sector.ts";
import type { NtfsVolume } from "./stream.ts";
import { restoreRecord } from "./update-sequence.ts";

export interface VolumeFacts {
  readonly label: string | undefined;
  readonly flaggedDirty: boolean;
}

/** fs/ntfs3/ntfs.h, `VOLUME_FLAG_DIRTY`, and ntfs-3g's `VOLUME_CHKDSK_UNDERWAY`. */
const dirtyFlags = 0x0001 | 0x4000;

/** `file` is $Volume. */
export async function readVolumeFacts(file: NtfsFile, signal: AbortSignal): Promise<VolumeFacts> {
  const information = await file.attribute(attributeTypes.volumeInformation, "", signal);
  if (information?.kind !== "resident") throw imageCorrupt(file.record.where, "its $VOLUME_INFORMATION is missing");
  const [major, minor] = [information.value.u8(8), information.value.u8(9)];
  // 1.2 is of Windows NT 4, 3.1 of all since XP.
  if (major < 1 || major > 3) throw notSupported(`NTFS version ${major}.${minor}`);
  const name = await file.attribute(attributeTypes.volumeName, "", signal);
  const label = name?.kind === "resident" ? decodeUtf16Name(name.value.bytes) : "";
  return {
    label: label === "" ? undefined : label,
    flaggedDirty: (information.value.u16le(10) & dirtyFlags) !== 0,
  };
}

/** `log` is $LogFile. */
export async function readState(
  volume: NtfsVolume,
  facts: VolumeFacts,
  log: NtfsFile,
  signal: AbortSignal,
): Promise<FileSystemState> {
  const open = await openLog(volume, log, signal);
  if (open !== undefined) {
    const flagged = facts.flaggedDirty ? "; its dirty flag is set, too" : "";
    return { kind: "dirty", note: `The newest changes in $LogFile are not replayed: ${open}${flagged}.` };
  }
  if (!facts.flaggedDirty) return { kind: "clean" };
  return {
    kind: "dirty",
    note: "Its dirty flag is set: it was in use, or waits for a check of its structures (chkdsk).",
  };
}

/** Why the log may hold changes that the clusters do not; `undefined` where it was closed. */
async function openLog(volume: NtfsVolume, log: NtfsFile, signal: AbortSignal): Promise<string | undefined> {
  const stream = await log.stream(attributeTypes.data, "", signal);
  if (stream === undefined) throw imageCorrupt(log.record.where, "$LogFile has no content");
  const head = async (at: number, length: number): Promise<Uint8Array> =>
    at + length > stream.sizeBytes ? new Uint8Array(0) : readMetadata(volume, stream, at, length, signal);
  const first = await head(0, 512);
  // Emptied, as ntfs-3g leaves it.
  if (first.every((byte) => byte === 0xff)) return undefined;
  const pageBytes = systemPageBytes(first);
  const areas = [restartArea(await head(0, pageBytes)), restartArea(await head(pageBytes, pageBytes))];
  const [newest] = areas.filter((area) => area !== undefined).toSorted((one, other) => (one.lsn < other.lsn ? 1 : -1));
  if (newest === undefined) return "neither of its restart pages is whole";
  return newest.clean ? undefined : `the volume was in use, at log sequence number ${newest.lsn}`;
}

/** Where the second restart page begins; 4096 where the first does not say. */
function systemPageBytes(first: Uint8Array): number {
  const bytes = first.length < 24 ? 0 : new ByteView(first, "NTFS $LogFile").u32le(16);
  return isPowerOfTwo(bytes, 512, 65_536) ? bytes : 4096;
}

interface RestartArea {
  readonly lsn: bigint;
  readonly clean: boolean;
}

const noClient = 0xffff;
const volumeIsClean = 0x0002;

/** fs/ntfs3/fslog.c, `RESTART_HDR` and `RESTART_AREA`; `undefined` for a page that is damaged or none. */
function restartArea(page: Uint8Array): RestartArea | undefined {
  try {
    const where = "NTFS $LogFile restart page";
    const magic = page.length < 4 ? "" : new ByteView(page, where).ascii(0, 4);
    const view = restoreRecord(page, magic === "CHKD" ? "CHKD" : "RSTR", where);
    const at = view.u16le(24);
    const lsn = view.big64le(at);
    const closed = view.u16le(at + 12) === noClient || (view.u16le(at + 14) & volumeIsClean) !== 0;
    // A page that chkdsk left says that it took care of the log.
    return { lsn, clean: closed || magic === "CHKD" };
  } catch (error) {
    // The other page may be whole. Where neither is, the caller says so.
    if (hasCode(error, "image-corrupt")) return undefined;
    throw error;
  }
}
