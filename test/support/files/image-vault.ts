/** A vault on a real server whose restore points hold real disk images, and the command line as a process of its own. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlobVaultStore } from "../../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../../shared/adapters/azure/storage-clients.ts";
import type { Manifest } from "../../../shared/core/vault/manifest.ts";
import { initVault } from "../../../shared/operations/vault/init-vault.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import type { Shell } from "../../../cli/shell.ts";
import type { CliResult } from "../cli/farside.ts";
import { farside } from "../cli/farside.ts";
import { startTestAzurite } from "../test-azurite.ts";
import { backUp, kib, manualClock, passphrase, quickScrypt, seededRandom, signal } from "../vault/vault-fixture.ts";
import { runTool } from "./run-tool.ts";

const entry = join(import.meta.dirname, "../../../cli/main.ts");

export interface ProcessResult {
  readonly exitCode: number;
  readonly out: Buffer;
  readonly err: string;
}

export interface ImageVault {
  /** For images and what is taken out; removed at the end. */
  readonly folder: string;
  readonly vault: OpenVault;
  /** A restore point of disks that are files, a minute after the last. */
  backUp(vm: string, images: Readonly<Record<string, string>>): Promise<Manifest>;
  /** A command line in this process, with the same environment and folder: what starts no process takes no second. */
  run(...args: readonly string[]): Promise<CliResult>;
  /** The same with another signal, or another place for what it writes. */
  runIn(shell: Partial<Shell>, ...args: readonly string[]): Promise<CliResult>;
  /** A shell line with `farside` as a real process. */
  shell(line: string): Promise<ProcessResult>;
  stop(): Promise<void>;
}

export async function startImageVault(): Promise<ImageVault> {
  const folder = await mkdtemp(join(tmpdir(), "farside-files-"));
  const { azurite, connectionString } = await startTestAzurite("vaultacct");
  const container = { kind: "connection-string", connectionString, container: "vault" } as const;
  const store = new BlobVaultStore(await openContainer(container));
  const clock = manualClock(Date.now() - 3_600_000);
  const encryption = { kind: "passphrase", passphrase, scrypt: quickScrypt } as const;
  const random = seededRandom(randomBytes(8).toString("hex"));
  const vault = await initVault({ store, clock, random, chunkSizeBytes: 256 * kib, encryption }, signal);
  const environment = {
    ...process.env,
    FARSIDE_VAULT: connectionString,
    FARSIDE_VAULT_CONTAINER: "vault",
    FARSIDE_PASSPHRASE: passphrase,
  };
  const started = (command: string, args: readonly string[]): Promise<ProcessResult> =>
    new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd: folder, env: environment, stdio: ["ignore", "pipe", "pipe"] });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on("data", (part: Buffer) => out.push(part));
      child.stderr.on("data", (part: Buffer) => err.push(part));
      child.once("error", reject);
      child.once("close", (code) =>
        resolve({ exitCode: code ?? -1, out: Buffer.concat(out), err: Buffer.concat(err).toString("utf8") }),
      );
    });
  return {
    folder,
    vault,
    async backUp(vm, images) {
      clock.advance(60_000);
      const contents: Record<string, Buffer> = {};
      for (const [name, path] of Object.entries(images)) contents[name] = await readFile(path);
      return backUp({ vault, clock }, vm, contents);
    },
    run: (...args) => farside(args, { cwd: folder, environment }),
    runIn: (shell, ...args) => farside(args, { cwd: folder, environment, ...shell }),
    shell: (line) =>
      started("bash", ["-c", `set -o pipefail; farside() { "${process.execPath}" "${entry}" "$@"; }; ${line}`]),
    async stop() {
      await azurite.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface DiskPart {
  /** A file with the partition's content. */
  readonly image: string;
  readonly sizeBytes: number;
  /** As sgdisk numbers types: 8300 Linux, 0700 Windows, EF00 EFI. */
  readonly type: string;
}

const alignedBytes = 1024 * 1024;

/** A GPT disk of these partitions, in order, from slot 1 on. */
export async function makeGptDisk(path: string, parts: readonly DiskPart[]): Promise<void> {
  await writeFile(path, "");
  await truncate(
    path,
    parts.reduce((total, part) => total + part.sizeBytes, 2 * alignedBytes),
  );
  const args = ["-o"];
  let at = alignedBytes;
  for (const [index, part] of parts.entries()) {
    args.push("-n", `${index + 1}:${at / 512}:+${part.sizeBytes / 1024}K`, "-t", `${index + 1}:${part.type}`);
    at += part.sizeBytes;
  }
  await runTool("sgdisk", [...args, path]);
  await putParts(path, parts);
}

/** Puts the partitions' content, as it is now, into a disk that `makeGptDisk` made of them. */
export async function putParts(path: string, parts: readonly DiskPart[]): Promise<void> {
  const disk = await open(path, "r+");
  try {
    let at = alignedBytes;
    for (const part of parts) {
      const content = await readFile(part.image);
      for (let from = 0; from < content.length; from += alignedBytes) {
        const piece = content.subarray(from, from + alignedBytes);
        await disk.write(piece, 0, piece.length, at + from);
      }
      at += part.sizeBytes;
    }
  } finally {
    await disk.close();
  }
}
