/** All that a restore point keeps as a disk is kept: its disks, and the guest states that go with them. Whoever walks what is referred to walks these. */
import type { Manifest, ManifestDisk, ObjectId } from "./manifest.ts";

export interface ManifestImage {
  /** The disk that it is, or goes with. */
  readonly disk: ManifestDisk["name"];
  readonly part: "disk" | "guest-state";
  /** Id of the disk index (kind 3). */
  readonly index: ObjectId;
  readonly sizeBytes: number;
}

export function imagesOf({ disks }: Pick<Manifest, "disks">): readonly ManifestImage[] {
  return disks.flatMap(({ name, index, sizeBytes, guestState }): readonly ManifestImage[] => [
    { disk: name, part: "disk", index, sizeBytes },
    ...(guestState === undefined ? [] : [{ disk: name, part: "guest-state", ...pick(guestState) } as const]),
  ]);
}

function pick({ index, sizeBytes }: { readonly index: ObjectId; readonly sizeBytes: number }) {
  return { index, sizeBytes };
}
