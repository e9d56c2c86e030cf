/** The changed-page list that the real service would give, worked out from the contents of two snapshots. */
import { BlobServiceClient, type PageBlobClient } from "@azure/storage-blob";
import type { SeenRequest } from "./storage-proxy.ts";

const page = 512;

interface DiffRange {
  readonly kind: "PageRange" | "ClearRange";
  readonly start: number;
  /** The last byte. */
  end: number;
}

export interface ExactDiffOptions {
  readonly connectionString: string;
  readonly pageSize?: number;
  /** For a list that lies: whether it leaves this change of this blob out. */
  hides?: (path: string, firstByte: number) => boolean;
}

export async function exactPageDiff(
  request: Pick<SeenRequest, "path" | "query" | "headers">,
  options: ExactDiffOptions,
): Promise<{ status: number; xml: string; headers: Record<string, string> }> {
  const [, , container = "", ...name] = request.path.split("/").map(decodeURIComponent);
  const service = BlobServiceClient.fromConnectionString(options.connectionString);
  const base = service.getContainerClient(container).getPageBlobClient(name.join("/"));
  const current = base.withSnapshot(request.query.get("snapshot") ?? "");
  const previous = base.withSnapshot(request.query.get("prevsnapshot") ?? "");
  if (!(await previous.exists())) {
    const code = "PreviousSnapshotNotFound";
    return {
      status: 409,
      xml: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>x</Message></Error>`,
      headers: { "x-ms-error-code": code },
    };
  }
  const { contentLength = 0 } = await current.getProperties();
  const range = /bytes=(\d+)-(\d*)/.exec(String(request.headers["x-ms-range"] ?? request.headers["range"] ?? ""));
  const from = Number(range?.[1] ?? 0);
  const to = Math.min(range?.[2] ? Number(range[2]) + 1 : contentLength, contentLength);
  const all = await compare(current, previous, from, to);
  const ranges = all.filter(({ start }) => options.hides?.(request.path, start) !== true);
  const first = Number(request.query.get("marker") ?? 0);
  const most = Number(request.query.get("maxresults") ?? options.pageSize ?? 10_000);
  const shown = ranges.slice(first, first + most);
  const next = first + most < ranges.length ? String(first + most) : "";
  const items = shown.map(({ kind, start, end }) => `<${kind}><Start>${start}</Start><End>${end}</End></${kind}>`);
  return {
    status: 200,
    xml: `<?xml version="1.0" encoding="utf-8"?><PageList>${items.join("")}<NextMarker>${next}</NextMarker></PageList>`,
    headers: { "x-ms-blob-content-length": String(contentLength) },
  };
}

async function compare(now: PageBlobClient, before: PageBlobClient, from: number, to: number): Promise<DiffRange[]> {
  const [current, previous] = await Promise.all([pagesOf(now, from, to), pagesOf(before, from, to)]);
  const ranges: DiffRange[] = [];
  for (const at of [...new Set([...current.keys(), ...previous.keys()])].sort((a, b) => a - b)) {
    const [new_, old] = [current.get(at), previous.get(at)];
    if (new_ !== undefined && old !== undefined && Buffer.compare(new_, old) === 0) continue;
    const kind = new_ === undefined ? "ClearRange" : "PageRange";
    const last = ranges.at(-1);
    if (last?.kind === kind && last.end + 1 === at) last.end = at + page - 1;
    else ranges.push({ kind, start: at, end: at + page - 1 });
  }
  return ranges;
}

/** Every written page by its offset. */
async function pagesOf(client: PageBlobClient, from: number, to: number): Promise<Map<number, Buffer>> {
  const pages = new Map<number, Buffer>();
  const { contentLength = 0 } = await client.getProperties();
  const end = Math.min(to, contentLength);
  if (end <= from) return pages;
  for await (const { start, end: last } of client.listPageRanges(from, end - from)) {
    const content = await client.downloadToBuffer(start, last + 1 - start);
    for (let at = 0; at < content.length; at += page) pages.set(start + at, content.subarray(at, at + page));
  }
  return pages;
}
