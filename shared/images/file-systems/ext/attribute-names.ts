/** Full names of extended attributes, and the values that the kernel shows in another form than it stores (fs/ext4/xattr.c, acl.c). */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

/** EXT4_XATTR_INDEX_*. Others (Lustre's, the keys of fscrypt) the kernel does not show. */
const prefixes: ReadonlyMap<number, string> = new Map([
  [1, "user."],
  [4, "trusted."],
  [6, "security."],
]);
const accessLists: ReadonlyMap<number, string> = new Map([
  [2, "system.posix_acl_access"],
  [3, "system.posix_acl_default"],
]);

/** As getfattr and setfattr have it; missing for what the kernel keeps for itself. */
export function shownAttribute(
  nameIndex: number,
  name: string,
  value: Uint8Array,
  where: string,
): readonly [string, Uint8Array] | undefined {
  const list = accessLists.get(nameIndex);
  if (list !== undefined) return [list, shownAccessList(new ByteView(value, `${where}, access control list`))];
  const prefix = prefixes.get(nameIndex);
  return prefix === undefined || name === "" ? undefined : [prefix + name, value];
}

/** ACL_USER and ACL_GROUP of include/uapi/linux/posix_acl.h: those whose entries name somebody. */
const namedTags: readonly number[] = [0x02, 0x08];
const nobody = 0xffffffff;

/**
 * Stored: version 1, entries of 8 bytes, or of 4 where they name nobody. Shown (include/uapi/linux/posix_acl_xattr.h): version 2, all
 * entries of 8 bytes.
 */
export function shownAccessList(stored: ByteView): Uint8Array {
  if (stored.u32le(0) !== 1) throw imageCorrupt(stored.where, `it says version ${stored.u32le(0)}`);
  // No entry shrinks: twice the length holds them all.
  const shown = new DataView(new ArrayBuffer(stored.length * 2));
  shown.setUint32(0, 2, true);
  let end = 4;
  for (let at = 4; at < stored.length;) {
    const tag = stored.u16le(at);
    const named = namedTags.includes(tag);
    shown.setUint16(end, tag, true);
    shown.setUint16(end + 2, stored.u16le(at + 2), true);
    shown.setUint32(end + 4, named ? stored.u32le(at + 4) : nobody, true);
    at += named ? 8 : 4;
    end += 8;
  }
  return new Uint8Array(shown.buffer, 0, end);
}
