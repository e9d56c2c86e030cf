/** How far an unfinished disk stands, as one page in the place of its footer. */
import type { RunId } from "../../core/ids.ts";
import { vhdFooterBytes } from "../../core/vhd.ts";

const recordMark = "farside unfinished restore";

export function buildRecord(runId: RunId, toByte: number): Buffer {
  const page = Buffer.alloc(vhdFooterBytes);
  page.write(`${recordMark} ${runId} ${toByte}\n`, "latin1");
  return page;
}

/** 0 where nothing was recorded. */
export function parseRecord(page: Uint8Array, runId: RunId, sizeBytes: number): number {
  const line = Buffer.from(page).toString("latin1").split("\n")[0] ?? "";
  const prefix = `${recordMark} ${runId} `;
  const text = line.startsWith(prefix) ? line.slice(prefix.length) : "";
  const toByte = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  return toByte <= sizeBytes ? toByte : 0;
}
