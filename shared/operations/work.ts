/** Typed reading and writing of a run's work blobs. */
import type { RunId } from "../core/ids.ts";
import type { WorkContent, WorkKind } from "../wire/work-blob.ts";
import { decodeWork, encodeWork, maxWorkBytes } from "../wire/work-blob.ts";
import type { OpenVault } from "./vault/open-vault.ts";
import { createWorkBlob, putWorkBlob, readWorkBlob } from "./vault/work-blobs.ts";

export async function readWork<Kind extends WorkKind>(
  vault: OpenVault,
  runId: RunId,
  kind: Kind,
  path: string,
  signal: AbortSignal,
): Promise<WorkContent<Kind> | undefined> {
  const blob = await readWorkBlob(vault, runId, path, maxWorkBytes, signal);
  return blob === undefined ? undefined : decodeWork(kind, path, blob.content);
}

/** The first writer wins: where somebody was here before, what they wrote stands. */
export async function createWork<Kind extends WorkKind>(
  vault: OpenVault,
  runId: RunId,
  kind: Kind,
  path: string,
  content: WorkContent<Kind>,
  signal: AbortSignal,
): Promise<"created" | "exists"> {
  return (await createWorkBlob(vault, runId, path, encodeWork(kind, content), signal)).kind;
}

/** For progress: whoever comes next goes on from what was written last. */
export async function putWork<Kind extends WorkKind>(
  vault: OpenVault,
  runId: RunId,
  kind: Kind,
  path: string,
  content: WorkContent<Kind>,
  signal: AbortSignal,
): Promise<void> {
  await putWorkBlob(vault, runId, path, encodeWork(kind, content), signal);
}
