/**
 * What an unfinished run keeps in the vault under `work/<runId>/`: plans, progress and results, as JSON with a version. They are
 * written and read by one run, within a day, and deleted after its end.
 *
 * A release that meets a work blob of another version says so with `internal`: the run fails and the next one starts afresh.
 */
import { z } from "zod";
import { FarsideError } from "../core/errors.ts";
import type { SegmentRun } from "../core/backup-plan.ts";
import type { DiskName } from "../core/ids.ts";
import type { DiskMethod } from "../core/run.ts";
import type { DiskMode, ObjectId } from "../core/vault/manifest.ts";
import { count, diskMode, diskName, objectId, textMap } from "./catalog/schema.ts";

const workVersion = 1;

/** How one disk is copied: `<attempt>/plan/<disk number>`. */
export interface DiskPlan {
  readonly disk: DiskName;
  readonly mode: DiskMode;
  readonly method: DiskMethod;
  readonly sizeBytes: number;
  /** Incremental: the disk in the parent. */
  readonly parent?: {
    readonly index: ObjectId;
    readonly sizeBytes: number;
    readonly snapshot: Readonly<Record<string, string>>;
  };
  readonly windows: readonly { readonly segments: readonly SegmentRun[]; readonly bytes: number }[];
  /** Of a disk that has one. */
  readonly guestState?: KeptGuestState;
}

/** `why` completes a sentence: "was not kept, for …". */
export type KeptGuestState =
  | { readonly kind: "kept"; readonly index: ObjectId; readonly sizeBytes: number }
  | { readonly kind: "not-kept"; readonly why: string };

/** Which windows belong to which disk, numbered through: `<attempt>/plan/all`. Written last: with it the plan stands. */
export interface BackupPlan {
  readonly disks: readonly { readonly disk: DiskName; readonly windows: number }[];
}

/** How far the listing of a disk's changes has come: `<attempt>/plan/<disk number>-progress`. */
interface ListingProgress {
  readonly fromByte: number;
  /** Segments before `fromByte` with changes, and how many bytes each. */
  readonly segments: readonly (readonly [segment: number, bytes: number])[];
}

/** What a window has done so far (`<attempt>/progress/<window>`), or in the end (`<attempt>/windows/<window>`). */
export interface WindowResult {
  readonly segments: readonly (readonly [segment: number, id: ObjectId])[];
  readonly changedBytes: number;
  readonly readBytes: number;
  readonly newChunks: number;
  readonly newBytes: number;
  readonly storedBytes: number;
}

/** Which bytes of which disk a restore's window writes: `plan`. */
export interface RestorePlan {
  readonly windows: readonly {
    readonly disk: number;
    /** Of the disk in the restore point. */
    readonly index: ObjectId;
    readonly fromByte: number;
    readonly toByte: number;
  }[];
}

/** Up to which byte of its window a restore has written (`progress/<window>`, `windows/<window>`). */
interface RestoreResult {
  readonly doneToByte: number;
  readonly writtenBytes: number;
}

const pair = <T>(second: z.ZodType<T>) => z.tuple([count, second]);
const windowCounts = {
  changedBytes: count,
  readBytes: count,
  newChunks: count,
  newBytes: count,
  storedBytes: count,
};

const schemas: { readonly [Kind in WorkKind]: z.ZodType<WorkContents[Kind]> } = {
  diskPlan: z.strictObject({
    disk: diskName,
    mode: diskMode,
    method: z.enum(["all", "diff", "compare"]),
    sizeBytes: count,
    parent: z.strictObject({ index: objectId, sizeBytes: count, snapshot: textMap }).exactOptional(),
    windows: z.array(z.strictObject({ segments: z.array(pair(count)), bytes: count })),
    guestState: z
      .discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("kept"), index: objectId, sizeBytes: count }),
        z.strictObject({ kind: z.literal("not-kept"), why: z.string() }),
      ])
      .exactOptional(),
  }),
  backupPlan: z.strictObject({
    disks: z.array(z.strictObject({ disk: diskName, windows: count })),
  }),
  listingProgress: z.strictObject({
    fromByte: count,
    segments: z.array(pair(count)),
  }),
  windowResult: z.strictObject({
    segments: z.array(pair(objectId)),
    ...windowCounts,
  }),
  restorePlan: z.strictObject({
    windows: z.array(z.strictObject({ disk: count, index: objectId, fromByte: count, toByte: count })),
  }),
  restoreResult: z.strictObject({ doneToByte: count, writtenBytes: count }),
};

interface WorkContents {
  readonly diskPlan: DiskPlan;
  readonly backupPlan: BackupPlan;
  readonly listingProgress: ListingProgress;
  readonly windowResult: WindowResult;
  readonly restorePlan: RestorePlan;
  readonly restoreResult: RestoreResult;
}

export type WorkKind = keyof WorkContents;
export type WorkContent<Kind extends WorkKind> = WorkContents[Kind];

/** Far above the largest: a plan of 32 TiB in chunks of 256 KiB. */
export const maxWorkBytes = 64 * 1024 * 1024;

export function encodeWork<Kind extends WorkKind>(kind: Kind, content: WorkContent<Kind>): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({ version: workVersion, kind, content }));
}

export function decodeWork<Kind extends WorkKind>(kind: Kind, path: string, bytes: Uint8Array): WorkContent<Kind> {
  const schema: z.ZodType<WorkContents[Kind]> = schemas[kind];
  const envelope = z.strictObject({ version: z.literal(workVersion), kind: z.literal<string>(kind) }).loose();
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new FarsideError("internal", `The work blob ${path} is not JSON.`, { cause });
  }
  const outer = envelope.safeParse(json);
  const parsed = outer.success ? schema.safeParse(outer.data["content"]) : outer;
  if (outer.success && parsed.success) return parsed.data;
  const issue = parsed.error?.issues[0];
  throw new FarsideError(
    "internal",
    `The work blob ${path} is not a ${kind} of this release: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`,
  );
}
