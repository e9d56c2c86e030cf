/**
 * What an unfinished run keeps under `work/<runId>/`: its session's start, the results of its windows. Gone after the end of the run;
 * nothing of a restore point refers to it. Paths are made of letters, digits, ".", "_", "-" and "/".
 */
import { FarsideError } from "../../core/errors.ts";
import type { AttemptId, RunId } from "../../core/ids.ts";
import { parseRunId, quote } from "../../core/ids.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { workPrefix } from "../../core/vault/names.ts";
import type { VaultBlob, VaultBlobContent } from "../../ports/vault-store.ts";
import type { OpenVault } from "./open-vault.ts";
import type { Session } from "./write-object.ts";

const pathPattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

function workName(runId: RunId, path: string): string {
  if (pathPattern.test(path)) return `${workPrefix(runId)}${path}`;
  throw new FarsideError("internal", `${quote(path)} is not a path of a work blob.`, { details: { path } });
}

/** Writes once: `exists` where somebody did before, whose content stands. */
export function createWorkBlob(
  vault: OpenVault,
  runId: RunId,
  path: string,
  content: Uint8Array,
  signal: AbortSignal,
): Promise<{ kind: "created"; blob: VaultBlob } | { kind: "exists" }> {
  return vault.store.create(workName(runId, path), content, signal);
}

/** Writes whatever stands there. */
export function putWorkBlob(
  vault: OpenVault,
  runId: RunId,
  path: string,
  content: Uint8Array,
  signal: AbortSignal,
): Promise<VaultBlob> {
  return vault.store.put(workName(runId, path), content, signal);
}

export function readWorkBlob(
  vault: OpenVault,
  runId: RunId,
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<VaultBlobContent | undefined> {
  return vault.store.read(workName(runId, path), maxBytes, signal);
}

export interface WorkBlob {
  /** Below `work/<runId>/`. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly lastModified: Timestamp;
}

/** In order of path. `below`: only paths that begin so. */
export async function* listWorkBlobs(
  vault: OpenVault,
  runId: RunId,
  below: string,
  signal: AbortSignal,
): AsyncGenerator<WorkBlob, void, undefined> {
  const prefix = workPrefix(runId);
  for await (const { name, sizeBytes, lastModified } of vault.store.list(prefix + below, signal)) {
    yield { path: name.slice(prefix.length), sizeBytes, lastModified };
  }
}

/** Deletes all of a run's work. Returns how many blobs went. May run twice, or at once. */
export async function deleteWork(vault: OpenVault, runId: RunId, signal: AbortSignal): Promise<number> {
  // Collected first: a listing that goes on while its blobs are deleted may skip some.
  const names: string[] = [];
  for await (const { name } of vault.store.list(workPrefix(runId), signal)) names.push(name);
  let removed = 0;
  for (const name of names) if ((await vault.store.remove(name, {}, signal)) === "removed") removed += 1;
  return removed;
}

/** The runs that have work lying here, finished or not: what a reconciler looks after. */
export async function* listWorkRuns(vault: OpenVault, signal: AbortSignal): AsyncGenerator<RunId, void, undefined> {
  for await (const folder of vault.store.listFolders("work/", signal)) {
    const name = folder.slice("work/".length, -1);
    if (/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(name)) yield parseRunId(name);
  }
}

/**
 * Begins the session of an attempt: its first write, whose Last-Modified is `sessionStartedAt` (rule W1). Called again, it gives the
 * same session, until `deleteWork`. A run keeps the answer in its own state from the first step on and commits by that: after `deleteWork` a
 * late step would get a younger session here, which what it found before was never measured by.
 */
export async function startSession(vault: OpenVault, attemptId: AttemptId, signal: AbortSignal): Promise<Session> {
  const runId = parseRunId(attemptId.slice(0, 26));
  const name = workName(runId, `${attemptId}/session`);
  const written = await vault.store.create(name, Buffer.from(`${attemptId}\n`), signal);
  const blob = written.kind === "created" ? written.blob : await vault.store.head(name, signal);
  if (blob !== undefined) return { startedAt: blob.lastModified };
  throw new FarsideError(
    "conflict",
    `The session of attempt ${attemptId} ended while it was begun: somebody has cleaned up its run.`,
    {
      details: { attemptId },
    },
  );
}

/** The service's time now, by a write of a small blob of this run. */
export async function serviceTime(vault: OpenVault, attemptId: AttemptId, signal: AbortSignal): Promise<Timestamp> {
  const name = workName(parseRunId(attemptId.slice(0, 26)), `${attemptId}/clock`);
  return (await vault.store.put(name, Buffer.from("now\n"), signal)).lastModified;
}
