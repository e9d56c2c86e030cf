/**
 * A disk image on this machine as a disk: raw, or a fixed VHD, whose footer is not part of it. Other formats are refused by name:
 * read as raw they would be backed up as something that no machine starts from.
 */
import { open, type FileHandle } from "node:fs/promises";
import { FarsideError } from "../../core/errors.ts";
import { parseVhdFooter, vhdFooterBytes } from "../../core/vhd.ts";
import type { ByteRange } from "../../ports/disk-source.ts";

export interface FileDisk {
  readonly path: string;
  readonly format: "raw" | "vhd";
  readonly sizeBytes: number;
  /** Exactly these bytes, or `source-corrupt` where the file has become shorter. */
  read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Ranges that hold something other than zeros, in order: found by reading all of it, as Node cannot ask for holes. */
  extents(signal: AbortSignal): AsyncIterable<ByteRange>;
  close(): Promise<void>;
}

const scanBytes = 1024 * 1024;
/** Offset and letters that other formats begin with. */
const otherFormats = [
  { name: "qcow2", at: 0, magic: "QFI\xfb" },
  { name: "VHDX", at: 0, magic: "vhdxfile" },
  { name: "dynamic VHD", at: 0, magic: "conectix" },
  { name: "VMDK", at: 0, magic: "KDMV" },
  { name: "VMDK", at: 0, magic: "# Disk DescriptorFile" },
  { name: "VDI", at: 64, magic: "\x7f\x10\xda\xbe" },
] as const;

/** Throws `not-found`, `forbidden`, or `bad-input` with what to do. */
export async function openFileDisk(path: string): Promise<FileDisk> {
  const handle = await openFile(path);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw badImage(path, "is not a file: give a disk image");
    const { format, sizeBytes } = await recognise(handle, path, stat.size);
    return {
      path,
      format,
      sizeBytes,
      read: (offset, length, signal) => readExactly(handle, path, sizeBytes, offset, length, signal),
      extents: (signal) => extentsOf(handle, path, sizeBytes, signal),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new FarsideError("not-found", `There is no file ${path}.`, { cause });
    }
    if (code === "EACCES" || code === "EPERM") {
      throw new FarsideError("forbidden", `The file ${path} may not be read: check its permissions.`, { cause });
    }
    throw new FarsideError("bad-input", `The file ${path} cannot be opened (${String(code)}).`, { cause });
  }
}

async function recognise(handle: FileHandle, path: string, totalBytes: number) {
  if (totalBytes === 0) throw badImage(path, "is empty");
  const head = Buffer.alloc(Math.min(totalBytes, 512));
  await handle.read(head, 0, head.length, 0);
  const tail = Buffer.alloc(Math.min(totalBytes, vhdFooterBytes));
  await handle.read(tail, 0, tail.length, totalBytes - tail.length);
  const footer = parseVhdFooter(tail);
  if (footer.kind === "fixed") {
    if (footer.sizeBytes === totalBytes - vhdFooterBytes)
      return { format: "vhd", sizeBytes: footer.sizeBytes } as const;
    if (footer.sizeBytes > totalBytes - vhdFooterBytes) {
      throw badImage(path, `is cut short: its VHD footer speaks of ${footer.sizeBytes} bytes, it holds ${totalBytes}`);
    }
  }
  if (footer.kind === "other-vhd") throw otherFormat(path, `${footer.type} VHD`);
  const known = otherFormats.find(({ at, magic }) => head.subarray(at).toString("latin1").startsWith(magic));
  if (known !== undefined && totalBytes > vhdFooterBytes) throw otherFormat(path, known.name);
  if (footer.kind === "damaged") throw badImage(path, "has a damaged VHD footer (its checksum is wrong)");
  if (totalBytes % 512 !== 0) {
    throw badImage(
      path,
      `has ${totalBytes} bytes, which is no multiple of 512: it is no disk image, or it is cut short`,
    );
  }
  return { format: "raw", sizeBytes: totalBytes } as const;
}

async function readExactly(
  handle: FileHandle,
  path: string,
  sizeBytes: number,
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  if (offset < 0 || length < 0 || offset + length > sizeBytes) {
    throw new RangeError(`A read of ${length} bytes at ${offset} does not fit a disk of ${sizeBytes}.`);
  }
  const content = new Uint8Array(length);
  for (let got = 0; got < length;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(content, got, length - got, offset + got);
    if (bytesRead === 0) {
      throw new FarsideError("source-corrupt", `The file ${path} became shorter while it was read.`);
    }
    got += bytesRead;
  }
  return content;
}

async function* extentsOf(
  handle: FileHandle,
  path: string,
  sizeBytes: number,
  signal: AbortSignal,
): AsyncGenerator<ByteRange> {
  let extent: { offset: number; length: number } | undefined;
  const zeros = Buffer.alloc(scanBytes);
  for (let at = 0; at < sizeBytes; at += scanBytes) {
    const length = Math.min(scanBytes, sizeBytes - at);
    const content = await readExactly(handle, path, sizeBytes, at, length, signal);
    if (Buffer.compare(content, zeros.subarray(0, length)) === 0) {
      if (extent !== undefined) yield extent;
      extent = undefined;
    } else {
      extent = { offset: extent?.offset ?? at, length: (extent?.length ?? 0) + length };
    }
  }
  if (extent !== undefined) yield extent;
}

function badImage(path: string, why: string): FarsideError {
  return new FarsideError("bad-input", `${path} ${why}.`, { details: { path } });
}

function otherFormat(path: string, name: string): FarsideError {
  return new FarsideError(
    "bad-input",
    `${path} is a ${name} image, which is not read here: convert it with "qemu-img convert -O raw ${path} ${path}.raw".`,
    { details: { path, format: name } },
  );
}
