/**
 * Names and ids. Each kind has its own branded type and comes out of its `parse…`, so that one cannot stand for another.
 *
 * Names that people choose (VM, disk, policy) become parts of blob names, file names, table keys and URLs. The allowed
 * letters are those that are safe in all four; what is refused is refused here, at the edge.
 */
import { FarsideError } from "./errors.ts";

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** The name of a protected VM as its owner typed it. */
export type VmName = Brand<string, "VmName">;
/** The VM's lower-case slug in the vault; see vmIdOf in vm.ts. */
export type VmId = Brand<string, "VmId">;
export type DiskName = Brand<string, "DiskName">;
export type PolicyName = Brand<string, "PolicyName">;
/** A ULID: sorts by time. */
export type RunId = Brand<string, "RunId">;
/** `<run id>-<attempt number>`: every snapshot, work blob and message of one attempt carries it. */
export type AttemptId = Brand<string, "AttemptId">;
/** A ULID whose time is the instant of the snapshots. */
export type PointId = Brand<string, "PointId">;

const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$/;
const slugPattern = /^[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?$/;
const ulidPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const attemptPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}-[1-9][0-9]{0,3}$/;

export const parseVmName = (text: string): VmName => parseName("VM", text) as VmName;
export const parseDiskName = (text: string): DiskName => parseName("disk", text) as DiskName;
export const parsePolicyName = (text: string): PolicyName => parseName("policy", text) as PolicyName;
export const parseVmId = (text: string): VmId => parsePattern("VM id", text, slugPattern) as VmId;
export const parseRunId = (text: string): RunId => parsePattern("run id", text, ulidPattern) as RunId;
export const parsePointId = (text: string): PointId => parsePattern("restore point id", text, ulidPattern) as PointId;
export const parseAttemptId = (text: string): AttemptId =>
  parsePattern("attempt id", text, attemptPattern) as AttemptId;

export function attemptId(runId: RunId, attempt: number): AttemptId {
  return parseAttemptId(`${runId}-${attempt}`);
}

function parseName(kind: string, text: string): string {
  if (namePattern.test(text)) return text;
  throw new FarsideError(
    "bad-input",
    `The ${kind} name ${quote(text)} is not allowed: use 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit and not ending with ".".`,
    { details: { kind, value: clip(text) } },
  );
}

function parsePattern(kind: string, text: string, pattern: RegExp): string {
  if (pattern.test(text)) return text;
  throw new FarsideError("bad-input", `${quote(text)} is not a ${kind}.`, { details: { kind, value: clip(text) } });
}

/** A value as it may stand in a one-line message: quoted, control characters escaped, cut at 80 characters. */
export function quote(text: string): string {
  return JSON.stringify(clip(text));
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
