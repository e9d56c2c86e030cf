/** A process that reads the only disk of a vault, alone: told by IPC how, it answers how long that took. */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { BlobVaultStore } from "../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../shared/adapters/azure/storage-clients.ts";
import { FileTarget } from "../../shared/adapters/local/file-target.ts";
import { systemRandom } from "../../shared/compose/system.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { restoreDisks } from "../../shared/operations/restore/restore-disks.ts";
import { restoreIdOf } from "../../shared/operations/restore/restore-id.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { openVault } from "../../shared/operations/vault/open-vault.ts";
import { rawRead } from "./raw-read.ts";

export interface RestorerOrder {
  readonly kind: "raw" | "restore";
  readonly connection: string;
  readonly container: string;
  readonly folder: string;
  /** Reads under way at once. */
  readonly atOnce: number;
}

const [order] = (await once(process, "message")) as [RestorerOrder];
const { connection, container, folder, atOnce } = order;
const seconds =
  order.kind === "raw" ? await rawRead({ connection, container, prefix: "chunks/" }, atOnce) : await restore();
process.send?.({ seconds });
process.disconnect();

async function restore(): Promise<number> {
  const { signal } = new AbortController();
  const store = new BlobVaultStore(
    await openContainer({ kind: "connection-string", connectionString: connection, container }),
  );
  // The passphrase of the pipeline that made it; opening derives a key and is no part of what is measured.
  const vault = await openVault({ store, random: systemRandom(), passphrase: "a passphrase for tests" }, signal);
  const vmId = await findVm(vault, "bench", signal);
  const choice = { point: { kind: "latest" }, acceptMixedPoints: false, acceptUsnRollbackRisk: false } as const;
  const startedAt = performance.now();
  const { disks } = await chooseRestore(vault, vmId, choice, signal);
  const target = new FileTarget("raw");
  const urlOf = () => join(folder, "disk.raw");
  await restoreDisks(
    vault,
    target,
    {
      disks,
      urlOf,
      restoreId: (disk) => restoreIdOf(disk, "raw"),
      allowDamaged: false,
      onProgress: () => undefined,
      parallelism: atOnce,
    },
    signal,
  );
  const took = (performance.now() - startedAt) / 1000;
  await rm(urlOf());
  return took;
}
