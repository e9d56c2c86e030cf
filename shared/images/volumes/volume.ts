/**
 * What lies on the disks of a restore point: the disks themselves, their partitions, the arrays and logical volumes assembled from
 * them. Names are what users type: `volumes` prints them, `ls`, `get` and the NBD exports take them.
 *
 * | kind           | name                                     |
 * |----------------|------------------------------------------|
 * | disk           | `<disk>`                                 |
 * | partition      | `<disk>/p<slot>`, the slot as the table numbers it |
 * | array          | `md/<name>`, else `md/<first 8 digits of its uuid>` |
 * | logical-volume | `lvm/<group>/<volume>`                   |
 *
 * Two that would have one name get `~2`, `~3` at the end, in the order in which they are found.
 */
import type { BlockDevice } from "../../ports/block-device.ts";

export type VolumeKind = "disk" | "partition" | "array" | "logical-volume";

/** What the first bytes of a volume say that it holds. */
export type VolumeContent =
  /** `type` as in FileSystemFacts; read it with `openFileSystem`. */
  | { readonly kind: "file-system"; readonly type: string }
  | { readonly kind: "partition-table"; readonly type: "gpt" | "mbr" }
  /** Part of an array or volume group, whose name is `of`. */
  | { readonly kind: "member"; readonly of: string }
  /** Known by its mark and not readable here: swap, LUKS, BitLocker, btrfs, ZFS, ReFS, Storage Spaces, dynamic disk. `note` names it. */
  | { readonly kind: "foreign"; readonly type: string; readonly note: string }
  | { readonly kind: "unknown" }
  | { readonly kind: "empty" };

export interface Volume {
  readonly name: string;
  readonly kind: VolumeKind;
  readonly sizeBytes: number;
  /** Names of the disks that it lies on, each once. */
  readonly disks: readonly string[];
  /** Missing where it cannot be assembled; `note` says why. */
  readonly device: BlockDevice | undefined;
  readonly content: VolumeContent;
  /** Partition name or type, array level, why something is not readable. */
  readonly note: string | undefined;
}
