import { mkdtemp, readFile, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { NbdServer, NbdTls } from "../../shared/compose/nbd.ts";
import { serveNbd } from "../../shared/compose/nbd.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import type { ListenAddress } from "../../shared/core/nbd/listen-address.ts";
import { parseListenAddress, refuseOpenAddress, unixAddress } from "../../shared/core/nbd/listen-address.ts";
import type { Manifest } from "../../shared/core/vault/manifest.ts";
import type { Volume } from "../../shared/images/volumes/volume.ts";
import { openVolumes } from "../../shared/operations/files/open-volume.ts";
import { choosePoint } from "../../shared/operations/restore/choose-point.ts";
import { findDisk } from "../../shared/operations/restore/find-disk.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { BlockDevice } from "../../shared/ports/block-device.ts";
import type { EventLog } from "../../shared/ports/event-log.ts";
import { pointChoice } from "../choose-point.ts";
import { tellExports } from "../export-view.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { parseVmAtPoint } from "../vm-at-point.ts";

export interface ExportFlags {
  readonly disk?: readonly string[];
  readonly listen?: string;
  readonly tlsDir?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

/**
 * For what is read ahead, and what several connections read of one chunk; what a client reads twice its own system keeps. With 16
 * fetches and the most that clients may have in flight the process stays below 300 MiB (`npm run bench -- command-memory`).
 */
const cacheBytes = 32 * 1024 * 1024;
/** Chunks fetched from the vault at one time, by all clients together. */
const fetchesAtOnce = 16;
export const exportCache = { cacheBytes, fetchesAtOnce } as const;

/** From the vault alone. Runs until Ctrl-C. */
export async function exportDisks(verb: Verb, target: string, flags: ExportFlags): Promise<number> {
  const { vm, point } = parseVmAtPoint(target);
  const names = flags.disk?.map(parseDiskName);
  const wanted = flags.listen === undefined ? undefined : listenAddress(verb, flags.listen);
  const tls = await readTls(verb, flags);
  if (wanted !== undefined) refuseOpenAddress(wanted, tls !== undefined);
  return withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const manifest = await choosePoint(vault, vmId, pointChoice({ point }), verb.signal);
    warnOfRisk(verb, manifest);
    const disks = names === undefined ? manifest.disks : [...new Set(names)].map((name) => findDisk(manifest, name));
    const chosen = { ...manifest, disks };
    const volumes = await openVolumes(vault, chosen, exportCache, verb.signal);
    return withAddress(wanted, async (listen) => {
      const server = await serve(verb, manifest, volumes, listen, tls);
      try {
        tellExports(verb.output, manifest, volumes, {
          address: server.address,
          reachedAt: reachableAt(server.address),
          tls: tls !== undefined,
        });
        await untilAsked(verb.signal);
        // As `farside up`, and every verb that Ctrl-C ends.
        return 130;
      } finally {
        await server.stop();
      }
    });
  });
}

/** A relative path of a socket is one below the folder that the verb was called in. */
function listenAddress(verb: Verb, text: string): ListenAddress {
  const address = parseListenAddress(text);
  return address.kind === "unix" ? unixAddress(resolve(verb.shell.cwd, address.path)) : address;
}

async function readTls(verb: Verb, flags: ExportFlags): Promise<NbdTls | undefined> {
  const { tlsDir, tlsCert, tlsKey, tlsCa } = flags;
  const single = [tlsCert, tlsKey, tlsCa];
  if (tlsDir !== undefined && single.some((path) => path !== undefined)) {
    throw new FarsideError(
      "bad-input",
      "--tls-dir has all of the certificates in it: leave out the other --tls options.",
    );
  }
  if (tlsDir === undefined && single.every((path) => path === undefined)) return undefined;
  const inFolder = (name: string): string | undefined => (tlsDir === undefined ? undefined : join(tlsDir, name));
  const read = (path: string | undefined): Promise<string> => readPem(verb, path);
  const [cert, key, ca] = await Promise.all([
    read(tlsCert ?? inFolder("server-cert.pem")),
    read(tlsKey ?? inFolder("server-key.pem")),
    read(tlsCa ?? inFolder("ca-cert.pem")),
  ]);
  return { cert, key, ca };
}

async function readPem(verb: Verb, path: string | undefined): Promise<string> {
  if (path === undefined) {
    throw new FarsideError("bad-input", "TLS needs --tls-cert, --tls-key and --tls-ca together, or --tls-dir.");
  }
  try {
    return await readFile(resolve(verb.shell.cwd, path), "utf8");
  } catch (cause) {
    throw new FarsideError("bad-input", `The file ${path} cannot be read: give a PEM file.`, { cause });
  }
}

/** Where no address is wanted: a socket in a folder that only this user may enter, and that is gone at the end. */
async function withAddress<T>(
  wanted: ListenAddress | undefined,
  work: (address: ListenAddress) => Promise<T>,
): Promise<T> {
  if (wanted !== undefined) return work(wanted);
  const folder = await mkdtemp(join(tmpdir(), "farside-export-"));
  try {
    return await work(unixAddress(join(folder, "nbd.sock")));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function serve(
  verb: Verb,
  manifest: Manifest,
  volumes: readonly Volume[],
  listen: ListenAddress,
  tls: NbdTls | undefined,
): Promise<NbdServer> {
  const readable = volumes.filter((volume): volume is Volume & { device: BlockDevice } => volume.device !== undefined);
  const disks = readable.filter(({ kind }) => kind === "disk");
  const [only] = disks;
  return serveNbd(
    {
      exports: readable.map(({ name, kind, device }) => ({
        name,
        description: `${kind} of ${manifest.vmName} as of ${manifest.snapshotAt}`,
        device,
      })),
      ...(disks.length === 1 && only !== undefined ? { defaultExport: only.name } : {}),
      listen,
      ...(tls === undefined ? {} : { tls }),
      log: noteLog(verb),
    },
    verb.signal,
  );
}

/** Who listens on all addresses is reached by the machine's name. */
function reachableAt(address: ListenAddress): ListenAddress {
  const onAll = address.kind === "tcp" && ["0.0.0.0", "::"].includes(address.host);
  return onAll ? { ...address, host: hostname() } : address;
}

/** What is wrong on standard error; with --verbose also who comes and goes. */
function noteLog(verb: Verb): EventLog {
  return {
    log(level, event, fields) {
      if (!verb.verbose && level !== "warning" && level !== "error") return;
      const shown = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
      verb.output.note([level, event, ...shown].join(" "));
    },
  };
}

/** Reading its files harms nothing; a domain controller that is booted from it may. */
function warnOfRisk({ output }: Verb, { safety, pointId }: Manifest): void {
  if (!safety.usnRollbackRisk) return;
  const note = safety.note === undefined ? "" : ` (${safety.note})`;
  output.note(
    `The restore point ${pointId} carries the risk of USN rollback for its domain controller${note}: do not boot it where others of its domain can reach it.`,
  );
}

function untilAsked(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}
