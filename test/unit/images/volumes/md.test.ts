import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assembleVolumes } from "../../../../shared/images/volumes/assemble-volumes.ts";
import type { Volume } from "../../../../shared/images/volumes/volume.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import type { MdFixture } from "../../../support/images/md-fixture.ts";
import { layRaid0, mdDataPlace, writeMdSuperblock } from "../../../support/images/md-fixture.ts";

const signal = new AbortController().signal;
const kib = 1024;
const mib = 1024 * kib;
const uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

type Array_ = Omit<MdFixture, "slot" | "slots" | "memberBytes" | "uuid">;

/** One member for each piece of data, of the size that holds it (and whatever its version adds). */
function makeMembers(
  array: Array_,
  data: readonly Buffer[],
  change: (slot: number) => Partial<MdFixture> = () => ({}),
): Buffer[] {
  const roundUp = (bytes: number): number => Math.ceil(bytes / (64 * kib)) * 64 * kib;
  return data.map((content, slot) => {
    const memberBytes = roundUp(content.length) + mib + 128 * kib;
    const member = Buffer.alloc(memberBytes);
    content.copy(member, mdDataPlace({ version: array.version, memberBytes }).offset);
    writeMdSuperblock(member, { ...array, uuid, slots: data.length, slot, memberBytes, ...change(slot) });
    return member;
  });
}

async function assemble(
  members: readonly (Buffer | undefined)[],
): Promise<{ array: Volume | undefined; all: readonly Volume[] }> {
  const disks = members.flatMap((member, at) =>
    member === undefined ? [] : [{ name: `disk${at}`, device: memoryDevice(member) }],
  );
  const all = await assembleVolumes(disks, signal);
  return { array: all.find((volume) => volume.kind === "array"), all };
}

/** No two words of it are equal, and no two seeds begin alike. */
function bytes(seed: string, length: number): Buffer {
  const start = crc32(seed);
  return Buffer.from(
    Uint32Array.from({ length: Math.ceil(length / 4) }, (_, at) => start + at * 0x9e3779b1).buffer,
  ).subarray(0, length);
}

describe("A raid0", () => {
  test("holds what was laid over its members, equal or not, in both layouts, whatever range is read", async () => {
    const size = fc.integer({ min: 1, max: 12 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { minLength: 1, maxLength: 4 }),
        fc.constantFrom("original", "alternate"),
        fc.constantFrom("1.0", "1.1", "1.2"),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 3, maxLength: 3 }),
        async (sizes, layout, version, ranges) => {
          const chunkBytes = 16 * kib;
          // The fixture's members are larger than what is asked for: their real capacity counts.
          const memberBytes = sizes.map((count) => (version === "1.0" ? 0 : mib) + 16 * kib * (count + 2) + 512);
          const capacities = memberBytes.map((one) => mdDataPlace({ version, memberBytes: one }).length);
          const total = capacities.reduce((sum, one) => sum + Math.floor(one / chunkBytes) * chunkBytes, 0);
          const content = bytes(sizes.join(), total);
          const laid = layRaid0(content, capacities, chunkBytes, layout);
          const disks = laid.map((data, slot) => {
            const member = Buffer.alloc(memberBytes[slot] ?? 0);
            const fixture = {
              version,
              level: 0,
              uuid,
              chunkBytes,
              slots: sizes.length,
              slot,
              memberBytes: member.length,
            };
            data.copy(member, mdDataPlace(fixture).offset);
            writeMdSuperblock(member, { ...fixture, raid0Layout: layout === "original" ? 1 : 2 });
            return member;
          });
          const { array } = await assemble(disks);
          expect(array).toMatchObject({ name: "md/0a1b2c3d", sizeBytes: total });
          for (const [one, other] of ranges) {
            const [from, to] = [one % total, other % total].toSorted((a, b) => a - b);
            const read = await array?.device?.read(from ?? 0, (to ?? 0) - (from ?? 0), signal);
            expect(read !== undefined && content.subarray(from, to).equals(read)).toBe(true);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test("over unequal members is not read where it does not record its layout, as the kernel does not", async () => {
    const data = [bytes("a", 64 * kib), bytes("b", 128 * kib)];
    const { array } = await assemble(makeMembers({ version: "1.2", level: 0, chunkBytes: 4 * kib }, data));
    expect(array?.device).toBeUndefined();
    expect(array?.note).toContain("does not record which of two layouts");
  });

  test("whose chunks are no whole sectors is not read: a chunk of one byte would cost a read for each", async () => {
    for (const version of ["0.90", "1.2"] as const) {
      for (const chunkBytes of [0, 1, 100, 4097]) {
        if (version === "1.2" && chunkBytes > 0) continue;
        const members = makeMembers({ version, level: 0, chunkBytes, raid0Layout: 1 }, [
          bytes("a", mib),
          bytes("b", mib),
        ]);
        const { array } = await assemble(members);
        expect(array?.device).toBeUndefined();
        expect(array?.note).toMatch(/chunks/);
      }
    }
  });

  test("is not read without all of its members, and says which are missing", async () => {
    const data = [bytes("a", 64 * kib), bytes("b", 64 * kib)];
    const members = makeMembers({ version: "1.2", level: 0, chunkBytes: 4 * kib, name: "web01:fast" }, data);
    const { array, all } = await assemble([members[0], undefined]);
    expect(array).toMatchObject({ name: "md/fast", device: undefined });
    expect(array?.note).toContain("raid0: 1 of 2 members missing (1)");
    expect(all[0]?.content).toEqual({ kind: "member", of: "md/fast" });
  });
});

describe("A mirror", () => {
  const content = bytes("mirror", 256 * kib);

  test.for(["0.90", "1.0", "1.1", "1.2"] as const)("of version %s is read from a member", async (version) => {
    const members = makeMembers({ version, level: 1, usedBytes: content.length }, [content, content]);
    const { array, all } = await assemble(members);
    expect(array).toMatchObject({ sizeBytes: content.length, disks: ["disk0", "disk1"], note: "raid1" });
    expect(content.equals((await array?.device?.read(0, content.length, signal)) ?? new Uint8Array())).toBe(true);
    expect(all.map((volume) => volume.content.kind)).toEqual(["member", "member", "unknown"]);
  });

  test("is read with one member alone, and says so", async () => {
    const members = makeMembers({ version: "1.2", level: 1, usedBytes: content.length }, [content, content]);
    const { array } = await assemble([undefined, members[1]]);
    expect(array?.note).toBe("raid1: 1 of 2 members missing (0)");
    expect(content.equals((await array?.device?.read(0, content.length, signal)) ?? new Uint8Array())).toBe(true);
  });

  test("is never read from a member that fell out, whose own superblock knows nothing of it", async () => {
    const old = bytes("old", content.length);
    const members = makeMembers({ version: "1.2", level: 1, usedBytes: content.length }, [old, content], (slot) =>
      slot === 0 ? { events: 10 } : { events: 30, faulty: [0] },
    );
    const { array } = await assemble(members);
    expect(array?.note).toContain("disk0 is stale (10 events, the freshest has 30)");
    expect(content.equals((await array?.device?.read(0, content.length, signal)) ?? new Uint8Array())).toBe(true);
    // The control: the stale one alone is all there is, and is read.
    const alone = await assemble([members[0], undefined]);
    expect(old.equals((await alone.array?.device?.read(0, content.length, signal)) ?? new Uint8Array())).toBe(true);
  });

  test("is not read from a member that the freshest one calls faulty, however close its events", async () => {
    const members = makeMembers(
      { version: "1.2", level: 1, usedBytes: content.length },
      [bytes("x", 64), content],
      (slot) => (slot === 0 ? { events: 29 } : { events: 30, faulty: [0] }),
    );
    const { array } = await assemble(members);
    expect(array?.note).toContain("disk0 is faulty in the array");
    expect(content.equals((await array?.device?.read(0, content.length, signal)) ?? new Uint8Array())).toBe(true);
  });
});

describe("An array", () => {
  test("that is linear holds its members one after the other", async () => {
    const version = "1.2" as const;
    const parts = [bytes("a", mib), bytes("b", 2 * mib)];
    const members = parts.map((part, slot) => {
      const member = Buffer.concat([Buffer.alloc(mib), part]);
      writeMdSuperblock(member, { version, level: -1, uuid, slots: 2, slot, memberBytes: member.length });
      return member;
    });
    const { array } = await assemble(members.toReversed());
    const whole = Buffer.concat(parts);
    expect(array).toMatchObject({ sizeBytes: whole.length, note: "linear" });
    expect(whole.equals((await array?.device?.read(0, whole.length, signal)) ?? new Uint8Array())).toBe(true);
  });

  test.for([4, 5, 6, 10])("of level %i is listed with the reason", async (level) => {
    const data = [bytes("a", 64 * kib), bytes("b", 64 * kib), bytes("c", 64 * kib)];
    const { array } = await assemble(makeMembers({ version: "1.2", level, chunkBytes: 64 * kib }, data));
    expect(array).toMatchObject({ device: undefined, note: `raid${level}; raid${level} cannot be read yet` });
  });

  test("whose superblock's checksum is wrong is no member, and the note says why", async () => {
    const [member] = makeMembers({ version: "1.2", level: 1, usedBytes: 64 * kib }, [bytes("a", 64 * kib)]);
    member?.writeUInt8(9, 4096 + 72);
    const { all } = await assemble([member]);
    expect(all).toMatchObject([{ kind: "disk", note: expect.stringContaining("its checksum does not fit") }]);
  });

  test("can be made of anything that is in its superblock, without an error or a hang", async () => {
    const data = [bytes("a", 64 * kib), bytes("b", 64 * kib)];
    const change = fc.tuple(fc.integer({ min: 0, max: 260 }), fc.integer({ min: 0, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const members = makeMembers({ version: "1.2", level: 0, chunkBytes: 4 * kib, raid0Layout: 2 }, data);
        for (const member of members) {
          for (const [at, value] of changes) member.writeUInt8(value, 4096 + at);
          let sum = 0n;
          member.writeUInt32LE(0, 4096 + 216);
          const devices = Math.min(1920, member.readUInt32LE(4096 + 220));
          for (let word = 0; word + 4 <= 256 + 2 * devices; word += 4) sum += BigInt(member.readUInt32LE(4096 + word));
          if (devices % 2 === 1) sum += BigInt(member.readUInt16LE(4096 + 256 + 2 * devices - 2));
          member.writeUInt32LE(Number(((sum & 0xffff_ffffn) + (sum >> 32n)) & 0xffff_ffffn), 4096 + 216);
        }
        const { all } = await assemble(members);
        expect(all.length).toBeGreaterThanOrEqual(2);
        for (const { device } of all)
          await device?.read(0, Math.min(device.sizeBytes, 4096), signal).catch(() => undefined);
      }),
      { numRuns: 100 },
    );
  });
});
