/**
 * Where the bytes of a raid0 over members of unequal sizes lie (create_strip_zones and raid0_make_request, drivers/md/raid0.c).
 *
 * Zones: the first runs over all members up to the size of the smallest, the next over those that are larger, and so on. Within a
 * zone chunks go round its members. Which member a zone begins with has two answers: the `original` layout takes the chunk's number
 * in the array, the `alternate` one (Linux 3.14 to 5.3, and what 5.4 names so) its number in the zone. In the first zone both agree.
 */
interface Zone {
  /** In the array, and on each of its members. */
  readonly start: number;
  readonly memberStart: number;
  readonly end: number;
  /** Members in order. */
  readonly members: readonly number[];
}

export interface Raid0Piece {
  readonly member: number;
  readonly offset: number;
  readonly length: number;
}

/** `sizes`: of the members, in bytes, whole chunks each. */
export function raid0Map(
  sizes: readonly number[],
  chunkBytes: number,
  layout: "original" | "alternate",
): (offset: number, length: number) => Generator<Raid0Piece> {
  const zones = zonesOf(sizes);
  return function* (offset, length) {
    const end = offset + length;
    let at = offset;
    for (const zone of zones) {
      while (at >= zone.start && at < Math.min(end, zone.end)) {
        const inZone = at - zone.start;
        const chunk = Math.floor(inZone / chunkBytes);
        const within = inZone % chunkBytes;
        const turn = layout === "original" ? Math.floor(at / chunkBytes) : chunk;
        const member = zone.members[turn % zone.members.length] ?? 0;
        const memberOffset = zone.memberStart + Math.floor(chunk / zone.members.length) * chunkBytes + within;
        const count = Math.min(chunkBytes - within, end - at);
        yield { member, offset: memberOffset, length: count };
        at += count;
      }
    }
  };
}

function zonesOf(sizes: readonly number[]): readonly Zone[] {
  const heights = [...new Set(sizes)].filter((size) => size > 0).toSorted((one, other) => one - other);
  const zones: Zone[] = [];
  let start = 0;
  let memberStart = 0;
  for (const height of heights) {
    const members = [...sizes.keys()].filter((member) => (sizes[member] ?? 0) > memberStart);
    const end = start + (height - memberStart) * members.length;
    zones.push({ start, memberStart, end, members });
    start = end;
    memberStart = height;
  }
  return zones;
}
