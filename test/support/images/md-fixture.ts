/**
 * Members of md arrays, as mdadm makes them: this kernel has no md driver, so superblocks are written here, and `mdadm --examine` judges
 * them (test/integration/images/volumes.test.ts). The data is laid by a model of its own, chunk by chunk.
 */
const sector = 512;

export interface MdFixture {
  readonly version: "0.90" | "1.0" | "1.1" | "1.2";
  readonly level: number;
  readonly uuid: string;
  readonly name?: string;
  /** In bytes. */
  readonly chunkBytes?: number;
  readonly slots: number;
  /** This member's. */
  readonly slot: number;
  readonly memberBytes: number;
  /** Of a mirror: what each member gives. */
  readonly usedBytes?: number;
  readonly events?: number;
  /** Slots that the array has lost, by this superblock. */
  readonly faulty?: readonly number[];
  readonly raid0Layout?: number;
  readonly features?: number;
}

const dataAt = { "0.90": 0, "1.0": 0, "1.1": 1024 * 1024, "1.2": 1024 * 1024 } as const;

/** Where the data of a member lies and how much of it there is. */
export function mdDataPlace({ version, memberBytes }: Pick<MdFixture, "version" | "memberBytes">): {
  readonly offset: number;
  readonly length: number;
} {
  const offset = dataAt[version];
  const end = version === "1.1" || version === "1.2" ? memberBytes : superblockAt(version, memberBytes);
  return { offset, length: end - offset };
}

/** Writes the superblock of a member into its bytes. */
export function writeMdSuperblock(member: Buffer, fixture: MdFixture): void {
  const at = superblockAt(fixture.version, fixture.memberBytes);
  const block = fixture.version === "0.90" ? superblock0(fixture) : superblock1(fixture, at);
  block.copy(member, at);
}

function superblockAt(version: MdFixture["version"], memberBytes: number): number {
  const sectors = memberBytes / sector;
  switch (version) {
    case "0.90":
      return ((sectors & ~127) - 128) * sector;
    case "1.0":
      return ((sectors - 16) & ~7) * sector;
    case "1.1":
      return 0;
    case "1.2":
      return 4096;
    default:
      return version satisfies never;
  }
}

function superblock1(fixture: MdFixture, at: number): Buffer {
  const { level, uuid, slots, slot, chunkBytes = 0, events = 20, raid0Layout, features = 0, faulty = [] } = fixture;
  const place = mdDataPlace(fixture);
  const block = Buffer.alloc(4096);
  block.writeUInt32LE(0xa92b4efc, 0);
  block.writeUInt32LE(1, 4);
  block.writeUInt32LE(features | (raid0Layout === undefined ? 0 : 4096), 8);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(block, 16);
  block.write(fixture.name ?? "", 32, "utf8");
  block.writeBigUInt64LE(1_700_000_000n, 64);
  block.writeInt32LE(level, 72);
  block.writeUInt32LE(raid0Layout ?? 0, 76);
  block.writeBigUInt64LE(BigInt((fixture.usedBytes ?? 0) / sector), 80);
  block.writeUInt32LE(chunkBytes / sector, 88);
  block.writeUInt32LE(slots, 92);
  block.writeBigUInt64LE(BigInt(place.offset / sector), 128);
  block.writeBigUInt64LE(BigInt(place.length / sector), 136);
  block.writeBigUInt64LE(BigInt(at / sector), 144);
  block.writeUInt32LE(slot, 160);
  block.fill(0x11 + slot, 168, 184);
  block.writeBigUInt64LE(1_700_000_100n, 192);
  block.writeBigUInt64LE(BigInt(events), 200);
  block.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 208);
  block.writeUInt32LE(128, 220);
  for (let device = 0; device < 128; device++) {
    const role = faulty.includes(device) ? 0xfffe : device < slots ? device : 0xffff;
    block.writeUInt16LE(role, 256 + 2 * device);
  }
  let sum = 0n;
  for (let word = 0; word < 256 + 256; word += 4) sum += BigInt(block.readUInt32LE(word));
  block.writeUInt32LE(Number(((sum & 0xffff_ffffn) + (sum >> 32n)) & 0xffff_ffffn), 216);
  return block;
}

function superblock0({
  level,
  uuid,
  slots,
  slot,
  chunkBytes = 0,
  events = 20,
  usedBytes = 0,
  faulty = [],
}: MdFixture): Buffer {
  const block = Buffer.alloc(4096);
  const put = (word: number, value: number): void => {
    block.writeUInt32LE(value >>> 0, 4 * word);
  };
  const digits = uuid.replaceAll("-", "");
  put(0, 0xa92b4efc);
  put(2, 90);
  for (const [at, word] of [5, 13, 14, 15].entries()) put(word, Number.parseInt(digits.slice(8 * at, 8 * at + 8), 16));
  put(6, 1_700_000_000);
  put(7, level);
  put(8, usedBytes / 1024);
  put(9, slots);
  put(10, slots);
  put(32, 1_700_000_100);
  put(33, 1);
  put(34, slots - faulty.length);
  put(35, slots - faulty.length);
  put(39, events);
  put(65, chunkBytes);
  const disk = (word: number, number: number): void => {
    put(word, number);
    put(word + 1, 8);
    put(word + 2, 16 * number);
    put(word + 3, number);
    put(word + 4, faulty.includes(number) ? 1 : 2 | 4);
  };
  for (let number = 0; number < slots; number++) disk(128 + 32 * number, number);
  disk(992, slot);
  let sum = 0n;
  for (let word = 0; word < 4096; word += 4) sum += BigInt(block.readUInt32LE(word));
  put(38, Number(((sum & 0xffff_ffffn) + (sum >> 32n)) & 0xffff_ffffn));
  return block;
}

/**
 * The members' data of a raid0 that holds `content`, chunk by chunk: round the members that have room left, a new round of turns where
 * one is full (`alternate`), or the member by the chunk's number in the whole array (`original`).
 */
export function layRaid0(
  content: Buffer,
  capacities: readonly number[],
  chunkBytes: number,
  layout: "original" | "alternate",
): readonly Buffer[] {
  const members = capacities.map((capacity) => Buffer.alloc(capacity));
  let chunk = 0;
  let row = 0;
  while (chunk * chunkBytes < content.length) {
    const zoneEnds = capacities.map((capacity) => Math.floor(capacity / chunkBytes)).filter((rows) => rows > row);
    const shortest = Math.min(...zoneEnds);
    const open = members.filter((_, member) => Math.floor((capacities[member] ?? 0) / chunkBytes) > row);
    for (; row < shortest; row++) {
      for (let turn = 0; turn < open.length; turn++, chunk++) {
        const member = open[layout === "original" ? chunk % open.length : turn];
        const from = content.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
        if (member !== undefined) from.copy(member, row * chunkBytes);
      }
    }
  }
  return members;
}
