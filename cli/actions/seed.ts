import { resolve } from "node:path";
import { withDiskImage } from "../../shared/compose/disk-image.ts";
import { systemClock } from "../../shared/compose/system.ts";
import type { SeedCounts } from "../../shared/operations/manage/seed-vault.ts";
import { seedVault } from "../../shared/operations/manage/seed-vault.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { formatBytes } from "../format.ts";
import { Progress } from "../progress.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";

const parallelism = 8;

export async function seed(verb: Verb, files: readonly string[]): Promise<void> {
  const paths = files.map((file) => resolve(verb.shell.cwd, file));
  // All of them first: the third being no image should not be found out after an hour with the first two.
  for (const path of paths) await withDiskImage(path, () => Promise.resolve());
  await withVault(verb, async (vault) => {
    const seeded = [];
    for (const path of paths) seeded.push({ file: path, ...(await seedFile(verb, vault, path)) });
    verb.output.list(
      seeded,
      seeded,
      [
        { title: "file", value: (one) => one.file },
        { title: "chunks", value: (one) => String(one.chunks), align: "right" },
        { title: "new", value: (one) => String(one.newChunks), align: "right" },
        { title: "there before", value: (one) => String(one.reusedChunks), align: "right" },
        { title: "new bytes", value: (one) => formatBytes(one.newBytes), align: "right" },
        { title: "stored", value: (one) => formatBytes(one.storedBytes), align: "right" },
      ],
      "",
    );
  });
}

async function seedFile(verb: Verb, vault: OpenVault, path: string): Promise<SeedCounts> {
  return withDiskImage(path, async (image) => {
    const progress = new Progress(verb.output, path, image.sizeBytes);
    try {
      return await seedVault(
        vault,
        { image, clock: systemClock(), parallelism, onProgress: (bytes) => progress.add(bytes) },
        verb.signal,
      );
    } finally {
      progress.end();
    }
  });
}
