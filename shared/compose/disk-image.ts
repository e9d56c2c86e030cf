/** Disk images and disks for verbs that work without the service. */
import { PageBlobTarget } from "../adapters/azure/page-blob-target.ts";
import { openFileDisk, type FileDisk } from "../adapters/local/file-disk.ts";
import { FileTarget } from "../adapters/local/file-target.ts";
import type { AccountAccess } from "../config/storage.ts";
import type { DiskTarget } from "../ports/disk-target.ts";
import { openAccounts } from "./accounts.ts";

/** A raw or fixed-VHD file. Throws `not-found`, `bad-input` for what is no disk image. */
export async function withDiskImage<T>(path: string, work: (image: FileDisk) => Promise<T>): Promise<T> {
  const image = await openFileDisk(path);
  try {
    return await work(image);
  } finally {
    await image.close();
  }
}

/** `<folder>/<disk>.raw` or `.vhd` on this machine; a disk's URL is its path. */
export function fileTarget(format: "raw" | "vhd"): DiskTarget {
  return new FileTarget(format);
}

/** `<container>/<disk>.vhd` as page blobs of this account. */
export async function pageBlobTarget(account: AccountAccess): Promise<DiskTarget> {
  return new PageBlobTarget(await openAccounts([account]));
}
