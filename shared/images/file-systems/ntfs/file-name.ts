/** $FILE_NAME: a name of a file, as its record and the entry of its directory hold it. Layout: fs/ntfs3/ntfs.h, `ATTR_FILE_NAME`. */
import type { FileKind } from "../../../ports/file-system.ts";
import type { ByteView } from "../../byte-view.ts";
import { decodeUtf16Name } from "../../utf16-name.ts";
import { fileAttributes } from "./standard-information.ts";

export interface NtfsFileName {
  readonly name: string;
  /** UTF-16, little endian. */
  readonly nameBytes: Uint8Array;
  /** Only the short name of a file that has a long one. */
  readonly dosOnly: boolean;
  /** Where the entry of a directory can say it: not of reparse points and of what Interix keeps in files. */
  readonly kind: FileKind | undefined;
}

const dosNamespace = 2;
const directoryMark = 0x10000000;

export function parseFileName(view: ByteView): NtfsFileName {
  const attributes = view.u32le(56);
  const nameBytes = view.slice(66, view.u8(64) * 2);
  return {
    name: decodeUtf16Name(nameBytes),
    nameBytes,
    dosOnly: view.u8(65) === dosNamespace,
    kind: kindOf(attributes),
  };
}

function kindOf(attributes: number): FileKind | undefined {
  if ((attributes & fileAttributes.reparsePoint) !== 0) return undefined;
  if ((attributes & directoryMark) !== 0) return "directory";
  return (attributes & fileAttributes.system) === 0 ? "file" : undefined;
}
