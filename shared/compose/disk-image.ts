/** Disk images and disks for verbs that work without the service. */
import { PageBlobTarget } from "../adapters/azure/page-blob-target.ts";
import { openFileDisk, type FileDisk } from "../adapters/local/file-disk.ts";
import { FileTarget, type FileTargetOptions } from "../adapters/local/file-target.ts";
import { StorageAccounts } from "../adapters/azure/storage-accounts.ts";
import type { AccountAccess } from "../config/storage.ts";
import { FarsideError } from "../core/errors.ts";
import type { ResumableTarget } from "../ports/disk-target.ts";
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
export function fileTarget(format: "raw" | "vhd", options: FileTargetOptions): ResumableTarget {
  return new FileTarget(format, options);
}

/** `<container>/<disk>.vhd` as page blobs of this account. */
export async function pageBlobTarget(account: AccountAccess): Promise<ResumableTarget> {
  return new PageBlobTarget(await openAccounts([account]));
}

export interface SasContainer {
  readonly target: ResumableTarget;
  /** Without the SAS: for messages, and for `locate`. */
  readonly containerUrl: string;
  /** The instant that the SAS itself names. */
  readonly expiresAt?: string;
}

/** `<container>/<disk>.vhd` in the container that a URL with a SAS opens. Touches no network. Throws `bad-input`. */
export async function sasContainerTarget(sasUrl: string): Promise<SasContainer> {
  const url = new URL(sasUrl);
  const containerUrl = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  const accountUrl = containerUrl.slice(0, containerUrl.lastIndexOf("/"));
  if (!/^https?:$/.test(url.protocol) || !URL.canParse(accountUrl)) {
    throw new FarsideError("bad-input", `${containerUrl} is not the URL of a container.`);
  }
  const accounts = await StorageAccounts.open([`${accountUrl}${url.search}`]);
  const target = new PageBlobTarget(accounts);
  const expiresAt = url.searchParams.get("se");
  return {
    target,
    containerUrl: accounts.container(containerUrl).url,
    ...(expiresAt === null ? {} : { expiresAt }),
  };
}
