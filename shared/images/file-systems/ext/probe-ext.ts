import type { BlockDevice } from "../../../ports/block-device.ts";
import { ByteView } from "../../byte-view.ts";
import { extType, incompatible } from "./features.ts";
import { has, hasMagic, readFeatures, superblockBytes, superblockOffset } from "./superblock.ts";

/** What the device holds by its magic number; one read. A journal on a device of its own is no file system. */
export async function probeExt(
  device: BlockDevice,
  signal: AbortSignal,
): Promise<"ext2" | "ext3" | "ext4" | undefined> {
  if (device.sizeBytes < superblockOffset + superblockBytes) return undefined;
  const bytes = await device.read(superblockOffset, superblockBytes, signal);
  if (!hasMagic(bytes)) return undefined;
  const features = readFeatures(new ByteView(bytes, "ext superblock"));
  return has(features, "incompatible", incompatible.journalDevice) ? undefined : extType(features);
}
