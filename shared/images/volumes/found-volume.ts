/** A volume while volumes are being found: what it holds, and what is said of it, is not settled yet. */
import type { BlockDevice } from "../../ports/block-device.ts";
import type { Volume, VolumeContent, VolumeKind } from "./volume.ts";

export interface FoundVolume {
  readonly name: string;
  readonly kind: VolumeKind;
  readonly sizeBytes: number;
  readonly disks: readonly string[];
  readonly device: BlockDevice | undefined;
  readonly sectorBytes: number;
  /** Of a partition what it is on. */
  readonly parent: FoundVolume | undefined;
  /** Layers below: 0 for a disk. */
  readonly depth: number;
  /** Said by what lies below of what this one holds; its first bytes do not count then. */
  readonly fixedContent: VolumeContent | undefined;
  content: VolumeContent;
  readonly notes: string[];
}

export function volumeOf(found: FoundVolume): Volume {
  const { name, kind, sizeBytes, disks, device, content, notes } = found;
  return { name, kind, sizeBytes, disks, device, content, note: notes.length === 0 ? undefined : notes.join("; ") };
}
