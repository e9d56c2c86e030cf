/**
 * The process that reads the vault, alone: told by IPC where it is, it restores the newest restore point's only disk to a file as often
 * as it is asked to, and serves the same disk over NBD from the same open vault meanwhile.
 */
import { once } from "node:events";
import { join } from "node:path";
import { BlobVaultStore } from "../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../shared/adapters/azure/storage-clients.ts";
import { fileTarget } from "../../shared/compose/disk-image.ts";
import { serveNbd } from "../../shared/compose/nbd.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import { parseRunId } from "../../shared/core/ids.ts";
import { nbdUri } from "../../shared/core/nbd/nbd-uri.ts";
import { ulid } from "../../shared/core/ulid.ts";
import { openPointDisks } from "../../shared/operations/files/open-point-disks.ts";
import { restoreDisks } from "../../shared/operations/manage/restore-disks.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { newestRestorePoint } from "../../shared/operations/vault/list-restore-points.ts";
import { openVault } from "../../shared/operations/vault/open-vault.ts";

export interface ExporterOrder {
  readonly vaultConnection: string;
  readonly vaultContainer: string;
  readonly passphrase: string;
  readonly vmName: string;
  /** For the restored files and the socket. */
  readonly folder: string;
  /** As `farside export` has them. */
  readonly cache: { readonly cacheBytes: number; readonly fetchesAtOnce: number };
}

/** `restore`: a new folder for the file. */
export type ExporterAsk = { readonly kind: "restore"; readonly folder: string } | { readonly kind: "export" };
export type ExporterAnswer =
  | { readonly kind: "restored"; readonly seconds: number }
  | { readonly kind: "exported"; readonly uri: string };

const never = new AbortController().signal;
const [order] = (await once(process, "message")) as [ExporterOrder];
const container = await openContainer({
  kind: "connection-string",
  connectionString: order.vaultConnection,
  container: order.vaultContainer,
});
const store = new BlobVaultStore(container);
const vault = await openVault({ store, random: systemRandom(), passphrase: order.passphrase }, never);
const point = await newestRestorePoint(vault, await findVm(vault, order.vmName, never), never);
if (point === undefined) throw new Error(`There is no restore point of ${order.vmName}.`);
const { manifest } = point;

async function restore(folder: string): Promise<ExporterAnswer> {
  const target = fileTarget("raw");
  const startedAt = performance.now();
  await restoreDisks(
    vault,
    target,
    {
      manifest,
      disks: manifest.disks,
      urlOf: (disk) => target.locate(folder, disk),
      runId: parseRunId(ulid(systemClock().now(), systemRandom().bytes(10))),
      onProgress: () => undefined,
    },
    never,
  );
  return { kind: "restored", seconds: (performance.now() - startedAt) / 1000 };
}

/** Each with a cache of its own: a second copy must not find the chunks of the first. */
let exportsMade = 0;
async function serve(): Promise<ExporterAnswer> {
  const [disk] = await openPointDisks(vault, manifest, order.cache, never);
  if (disk === undefined) throw new Error("The restore point has no disk.");
  exportsMade += 1;
  const path = join(order.folder, `nbd-${exportsMade}.sock`);
  const server = await serveNbd(
    {
      exports: [{ name: disk.name, description: "", device: disk.device }],
      listen: { kind: "unix", path },
      log: { log: () => undefined },
    },
    never,
  );
  return { kind: "exported", uri: nbdUri(server.address, false, disk.name) };
}

process.on("message", (ask: ExporterAsk) => {
  const answering = ask.kind === "restore" ? restore(ask.folder) : serve();
  answering.then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.({ kind: "ready" });
