import type { BlockDevice } from "../../../ports/block-device.ts";
import type { MetadataReader } from "../../recent-blocks.ts";
import type { AllocationTable } from "./allocation-table.ts";
import type { FatGeometry } from "./boot-sector.ts";

/** What all readers of a volume share. */
export interface FatVolume {
  readonly device: BlockDevice;
  /** The same bytes, for what is small and near to what was read before. */
  readonly metadata: MetadataReader;
  readonly geometry: FatGeometry;
  readonly table: AllocationTable;
}
