/** Where the work blobs of a restore run lie, below `work/<runId>/`. */
const padded = (number: number): string => String(number).padStart(7, "0");

export const restorePlanPath = "plan";
export const restoreProgressPath = (window: number): string => `progress/${padded(window)}`;
export const restoreResultPrefix = "windows/";
export const restoreResultPath = (window: number): string => `${restoreResultPrefix}${padded(window)}`;
