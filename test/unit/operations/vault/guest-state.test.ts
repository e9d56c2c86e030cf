/** What goes with a disk and is kept as one: written, read, and found by whoever walks what a restore point refers to. */
import { describe, expect, test } from "vitest";
import { imagesOf } from "../../../../shared/core/vault/manifest-images.ts";
import { objectName } from "../../../../shared/core/vault/object-id.ts";
import { readManifest } from "../../../../shared/operations/vault/list-restore-points.ts";
import { readGuestState } from "../../../../shared/operations/vault/read-guest-state.ts";
import { readDiskIndex, readSegment } from "../../../../shared/operations/vault/read-disk.ts";
import { verifyVault } from "../../../../shared/operations/vault/verify-vault.ts";
import { writeImage } from "../../../../shared/operations/vault/write-image.ts";
import { commitManifest } from "../../../../shared/operations/vault/write-manifest.ts";
import {
  kib,
  makeVault,
  manifestBody,
  newBackup,
  noise,
  signal,
  writeDisk,
} from "../../../support/vault/vault-fixture.ts";

const content = Buffer.concat([noise("nvram", 300 * kib), new Uint8Array(900 * kib), noise("footer", 512)]);

async function withGuestState(state: Uint8Array = content) {
  const made = await makeVault();
  const backup = newBackup("web01", made.clock.now());
  const disk = await writeDisk(made, backup, "os", noise("os", 300 * kib));
  const session = { startedAt: (await manifestBody(made, backup, [disk])).sessionStartedAt };
  const index = await writeImage(made.vault, state, session, signal);
  const guestState = { index, sizeBytes: state.length };
  const body = await manifestBody(made, backup, [{ ...disk, guestState }]);
  const { manifest } = await commitManifest(made.vault, body, {}, signal);
  return { ...made, manifest, guestState, session };
}

describe("A guest state in the vault", () => {
  test("is read back byte for byte, by what the manifest that stands says of it", async () => {
    const { vault, manifest } = await withGuestState();
    const found = await readManifest(vault, manifest.vmId, manifest.pointId, signal);
    const kept = found.kind === "standing" ? found.manifest.disks[0]?.guestState : undefined;
    if (kept === undefined) throw new Error("It is not there.");
    expect(Buffer.from(await readGuestState(vault, kept, signal)).equals(content)).toBe(true);
  });

  test("of nothing but zeros takes no chunk, and is read back too", async () => {
    const { vault, guestState } = await withGuestState(new Uint8Array(600 * kib));
    expect(await readGuestState(vault, guestState, signal)).toEqual(new Uint8Array(600 * kib));
  });

  test("written twice is one", async () => {
    const { vault, guestState, session } = await withGuestState();
    expect(await writeImage(vault, content, session, signal)).toBe(guestState.index);
  });

  test("is among the images of its restore point, behind its disk", async () => {
    const { manifest, guestState } = await withGuestState();
    expect(imagesOf(manifest)).toMatchObject([
      { disk: "os", part: "disk" },
      { disk: "os", part: "guest-state", ...guestState },
    ]);
  });

  test.each(["disk-index", "segment", "data"] as const)(
    "is found by verify where its %s is gone, and told from its disk",
    async (kind) => {
      const { vault, store, guestState } = await withGuestState();
      const index = await readDiskIndex(vault, guestState, signal);
      const [segment] = index.segments;
      if (segment === undefined) throw new Error("It has a segment.");
      const [chunk] = await readSegment(vault, { id: segment, chunkCount: 5 }, signal);
      const id = { "disk-index": guestState.index, segment, data: chunk }[kind];
      if (id === undefined) throw new Error("It has a chunk.");
      await store.remove(objectName(kind, id), {}, signal);
      const { findings } = await verifyVault(vault, {}, signal);
      expect(findings).toMatchObject([{ reason: "missing", affected: [{ disk: "os", part: "guest-state" }] }]);
    },
  );

  test("that says to be larger than any is not read into memory", async () => {
    const { vault, guestState } = await withGuestState();
    const huge = { ...guestState, sizeBytes: 1024 ** 4 };
    await expect(readGuestState(vault, huge, signal)).rejects.toMatchObject({ code: "vault-corrupt" });
  });
});
