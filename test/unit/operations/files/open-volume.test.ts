import { describe, expect, test } from "vitest";
import { findVolume, openVolumeFileSystem, openVolumes } from "../../../../shared/operations/files/open-volume.ts";
import { backUp, kib, makeVault, signal } from "../../../support/vault/vault-fixture.ts";

const options = { cacheBytes: 1024 * kib, fetchesAtOnce: 4 };

/** One MBR partition of 512 KiB from 256 KiB on, which begins with the mark of swap space. */
function partitioned(): Uint8Array {
  const disk = Buffer.alloc(1024 * kib);
  disk.writeUInt8(0x82, 446 + 4);
  disk.writeUInt32LE(512, 446 + 8);
  disk.writeUInt32LE(1024, 446 + 12);
  disk.writeUInt16LE(0xaa55, 510);
  disk.write("SWAPSPACE2", 256 * kib + 4096 - 10, "latin1");
  return disk;
}

describe("The volumes of a restore point", () => {
  test("are those of all its disks, by name", async () => {
    const made = await makeVault({ kind: "none" });
    const manifest = await backUp(made, "web01", { os: partitioned(), data: new Uint8Array(300 * kib) });
    const volumes = await openVolumes(made.vault, manifest, options, signal);
    expect(volumes.map(({ name, content }) => `${name}: ${content.kind}`)).toEqual([
      "os: partition-table",
      "os/p1: foreign",
      "data: empty",
    ]);
    expect(findVolume(volumes, "os/p1").sizeBytes).toBe(512 * kib);
    expect(() => findVolume(volumes, "os/p2")).toThrow('no volume "os/p2" in this restore point, but os, os/p1, data.');
    await expect(openVolumeFileSystem(volumes, "os/p1", signal)).rejects.toMatchObject({
      code: "not-supported",
      message: expect.stringContaining("os/p1, which holds swap (Linux swap; swap space)"),
    });
  });
});
