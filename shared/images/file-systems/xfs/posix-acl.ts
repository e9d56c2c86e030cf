/**
 * POSIX access lists. XFS stores them in attributes of its own (SGI_ACL_FILE, SGI_ACL_DEFAULT: struct xfs_acl, big-endian); programs know
 * them as `system.posix_acl_access` and `system.posix_acl_default` (linux/posix_acl_xattr.h, little-endian, version 2), which is what
 * backups and tar carry.
 */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

export const aclNames: ReadonlyMap<string, string> = new Map([
  ["SGI_ACL_FILE", "system.posix_acl_access"],
  ["SGI_ACL_DEFAULT", "system.posix_acl_default"],
]);

/** POSIX_ACL_XATTR_VERSION. */
const version = 2;
/** ACL_USER and ACL_GROUP: the tags whose entries name somebody. Others have the id ACL_UNDEFINED_ID. */
const named: readonly number[] = [0x02, 0x08];
const undefinedId = 0xffffffff;
const storedBytes = 12;
const shownBytes = 8;

export function showAcl(stored: Uint8Array, where: string): Uint8Array {
  const view = new ByteView(stored, where);
  const count = view.u32be(0);
  if (4 + count * storedBytes > stored.length)
    throw imageCorrupt(where, `its access list cannot have ${count} entries`);
  const shown = new DataView(new ArrayBuffer(4 + count * shownBytes));
  shown.setUint32(0, version, true);
  for (let index = 0; index < count; index++) {
    const [from, to] = [4 + index * storedBytes, 4 + index * shownBytes];
    const tag = view.u32be(from);
    shown.setUint16(to, tag, true);
    shown.setUint16(to + 2, view.u16be(from + 8), true);
    shown.setUint32(to + 4, named.includes(tag) ? view.u32be(from + 4) : undefinedId, true);
  }
  return new Uint8Array(shown.buffer);
}
