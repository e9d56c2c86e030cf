/** Where the work blobs of an attempt lie, below `work/<runId>/`. Numbers are padded: a listing is in their order. */
import type { AttemptId } from "../../core/ids.ts";

const digits = 7;
const padded = (number: number): string => String(number).padStart(digits, "0");

export const planPath = (attemptId: AttemptId): string => `${attemptId}/plan/all`;
export const diskPlanPath = (attemptId: AttemptId, disk: number): string => `${attemptId}/plan/${padded(disk)}`;
export const listingPath = (attemptId: AttemptId, disk: number): string => `${attemptId}/listing/${padded(disk)}`;
export const progressPath = (attemptId: AttemptId, window: number): string => `${attemptId}/progress/${padded(window)}`;
export const resultPrefix = (attemptId: AttemptId): string => `${attemptId}/windows/`;
export const resultPath = (attemptId: AttemptId, window: number): string =>
  `${resultPrefix(attemptId)}${padded(window)}`;

export function windowOfPath(path: string): number {
  return Number(path.slice(-digits));
}
