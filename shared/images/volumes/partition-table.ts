/** What GPT and MBR tables have in common. */

export interface Partition {
  /** As the table numbers it, and Linux after it. */
  readonly slot: number;
  /** In bytes from the device's start. */
  readonly offset: number;
  readonly length: number;
  /** Its type, its name, what is odd about it. */
  readonly note: string;
  /** What its type says that it holds, where its first bytes cannot: the volumes of a dynamic disk, a storage space. */
  readonly foreign?: { readonly type: string; readonly note: string };
  /** An MBR's extended partition: it holds the logical ones and no data of its own. */
  readonly isExtended?: boolean;
}

export interface PartitionTable {
  readonly type: "gpt" | "mbr";
  readonly sectorBytes: number;
  readonly partitions: readonly Partition[];
  /** What is wrong with the table. */
  readonly problems: readonly string[];
  /** Behind the last byte that the table speaks for; what lies there is somebody else's. */
  readonly endByte: number;
}

/**
 * Partitions of one table. Linux has minor numbers for 256 (DISK_MAX_PARTS, include/linux/genhd.h); a GPT that lists thousands is made
 * to harm.
 */
export const maxPartitions = 256;

/** The partitions with those that lie outside of the device left out, and what must be said about them. */
export function checkPartitions(
  partitions: readonly Partition[],
  deviceBytes: number,
): { readonly partitions: readonly Partition[]; readonly problems: readonly string[] } {
  const kept: Partition[] = [];
  const problems: string[] = [];
  for (const partition of partitions.slice(0, maxPartitions)) {
    const { slot, offset, length } = partition;
    if (offset >= 0 && offset < deviceBytes && length > 0) kept.push(cutAtEnd(partition, deviceBytes));
    else problems.push(`partition ${slot} does not lie on the disk and is left out`);
  }
  const more = partitions.length - maxPartitions;
  if (more > 0) problems.push(`${more} partitions beyond the first ${maxPartitions} are left out`);
  return { partitions: kept.map((one) => noteOverlap(one, kept)), problems };
}

/** As Linux does it: "extends beyond EOD, truncated" (block/partitions/core.c). */
function cutAtEnd(partition: Partition, deviceBytes: number): Partition {
  const beyond = partition.offset + partition.length - deviceBytes;
  if (beyond <= 0) return partition;
  const note = `${partition.note}; reaches ${beyond} bytes beyond the end of the disk, and is cut there`;
  return { ...partition, length: deviceBytes - partition.offset, note };
}

function noteOverlap(partition: Partition, all: readonly Partition[]): Partition {
  const overlaps = all.filter(
    (other) =>
      other !== partition &&
      other.isExtended !== true &&
      partition.isExtended !== true &&
      other.offset < partition.offset + partition.length &&
      partition.offset < other.offset + other.length,
  );
  if (overlaps.length === 0) return partition;
  const slots = overlaps.map((other) => other.slot).join(", ");
  return { ...partition, note: `${partition.note}; overlaps partition ${slots}` };
}
