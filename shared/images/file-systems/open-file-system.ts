import type { BlockDevice } from "../../ports/block-device.ts";
import type { FileSystem } from "../../ports/file-system.ts";
import { notSupported } from "../image-errors.ts";
import { openExt } from "./ext/open-ext.ts";
import { openXfs } from "./xfs/open-xfs.ts";
import { openFat } from "./fat/open-fat.ts";
import { openNtfs } from "./ntfs/open-ntfs.ts";

/** `type` as `VolumeContent` says it. Throws `image-corrupt` and `not-supported`; see the port. */
export async function openFileSystem(type: string, device: BlockDevice, signal: AbortSignal): Promise<FileSystem> {
  signal.throwIfAborted();
  switch (type) {
    case "ext2":
    case "ext3":
    case "ext4":
      return openExt(device, signal);
    case "xfs":
      return openXfs(device, signal);
    case "ntfs":
      return openNtfs(device, signal);
    case "vfat":
      return openFat(device, signal);
    default:
      throw notSupported(`The file system ${type} (${device.sizeBytes} bytes)`);
  }
}
