/** The content of a disk in memory: pages, immutable, so that a snapshot is the same object. What has no page is zeros. */
export const pageBytes = 4096;

export interface SparseImage {
  readonly sizeBytes: number;
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

export function emptyImage(sizeBytes: number): SparseImage {
  return { sizeBytes, pages: new Map() };
}

export function resized(image: SparseImage, sizeBytes: number): SparseImage {
  return { sizeBytes, pages: new Map([...image.pages].filter(([page]) => page * pageBytes < sizeBytes)) };
}

export function written(image: SparseImage, offset: number, content: Uint8Array): SparseImage {
  const end = offset + content.length;
  if (offset < 0 || end > image.sizeBytes) {
    throw new RangeError(`A disk of ${image.sizeBytes} bytes has no bytes ${offset} to ${end}.`);
  }
  const pages = new Map(image.pages);
  for (let at = offset; at < end;) {
    const page = Math.floor(at / pageBytes);
    const until = Math.min(end, (page + 1) * pageBytes);
    const before = pages.get(page);
    const bytes = before === undefined ? new Uint8Array(pageBytes) : new Uint8Array(before);
    bytes.set(content.subarray(at - offset, until - offset), at - page * pageBytes);
    pages.set(page, bytes);
    at = until;
  }
  return { sizeBytes: image.sizeBytes, pages };
}

/** Whole pages only. */
export function cleared(image: SparseImage, offset: number, length: number): SparseImage {
  const within = (page: number): boolean => page * pageBytes >= offset && page * pageBytes < offset + length;
  return { sizeBytes: image.sizeBytes, pages: new Map([...image.pages].filter(([page]) => !within(page))) };
}

export function readImage({ sizeBytes, pages }: SparseImage, offset: number, length: number): Uint8Array<ArrayBuffer> {
  if (offset < 0 || offset + length > sizeBytes) {
    throw new RangeError(`A disk of ${sizeBytes} bytes has no bytes ${offset} to ${offset + length}.`);
  }
  const bytes = new Uint8Array(length);
  for (let page = Math.floor(offset / pageBytes); page * pageBytes < offset + length; page++) {
    const content = pages.get(page);
    if (content === undefined) continue;
    const from = Math.max(offset, page * pageBytes);
    const to = Math.min(offset + length, (page + 1) * pageBytes);
    bytes.set(content.subarray(from - page * pageBytes, to - page * pageBytes), from - offset);
  }
  return bytes;
}

/** The first byte in which two disks differ; undefined where they are equal. A page of zeros is as good as none. */
export function firstDifference(a: SparseImage, b: SparseImage): number | undefined {
  if (a.sizeBytes !== b.sizeBytes) return Math.min(a.sizeBytes, b.sizeBytes);
  const pages = [...new Set([...a.pages.keys(), ...b.pages.keys()])].sort((x, y) => x - y);
  const zeros = new Uint8Array(pageBytes);
  for (const page of pages) {
    const [x, y] = [a.pages.get(page) ?? zeros, b.pages.get(page) ?? zeros];
    if (x === y || Buffer.compare(x, y) === 0) continue;
    return page * pageBytes + x.findIndex((byte, i) => byte !== y[i]);
  }
  return undefined;
}
