/**
 * The master file table ($MFT): all file records, one after the other. It is itself a file, whose record is its first, so that its own
 * attribute list and its further records must lie where the runs known so far lead.
 */
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import type { MappedAttribute } from "./attribute.ts";
import { attributeTypes } from "./attribute.ts";
import { longestList, parseAttributeList } from "./attribute-list.ts";
import type { FileRecord } from "./file-record.ts";
import { parseFileRecord } from "./file-record.ts";
import type { FileReference } from "./file-reference.ts";
import { attributeRuns, mappedStream, openStream } from "./open-stream.ts";
import { readMetadata } from "./read-stream.ts";
import type { Run } from "./runlist.ts";
import { clipRun } from "./runlist.ts";
import type { MappedStream, NtfsVolume } from "./stream.ts";

/** Its runs are kept in memory: about 10 MB at most. A table of 100 GB in pieces of 1 MB has half as many. */
const mostRuns = 200_000;

export class MasterFileTable {
  readonly #volume: NtfsVolume;
  readonly #stream: MappedStream;

  private constructor(volume: NtfsVolume, stream: MappedStream) {
    this.#volume = volume;
    this.#stream = stream;
  }

  static async open(volume: NtfsVolume, signal: AbortSignal): Promise<MasterFileTable> {
    const { geometry, metadata } = volume;
    const bytes = await metadata.read(geometry.mftLcn * geometry.clusterBytes, geometry.recordBytes, signal);
    const record = parseFileRecord(bytes, 0);
    const first = tablePart(record, (attribute) => attribute.lowestVcn === 0);
    const runs: Run[] = [];
    const stream = mappedStream(geometry, first, "NTFS $MFT", async function* (from, until) {
      for (const run of runsFrom(runs, from)) {
        const clipped = clipRun(run, from, until);
        if (clipped === undefined) return;
        yield clipped;
      }
    });
    const table = new MasterFileTable(volume, stream);
    table.#extend(runs, first);
    const list = record.attributes.find(({ type }) => type === attributeTypes.attributeList);
    if (list === undefined) return table;
    const listStream = openStream(geometry, list, "NTFS $MFT attribute list");
    const entries = parseAttributeList(
      await readMetadata(volume, listStream, 0, Math.min(listStream.sizeBytes, longestList), signal),
      listStream.where,
    );
    for (const entry of entries) {
      if (entry.type !== attributeTypes.data || entry.name !== "" || entry.lowestVcn === 0) continue;
      table.#extend(
        runs,
        tablePart(await table.record(entry.holder, signal), ({ id }) => id === entry.id),
      );
    }
    return table;
  }

  /** Throws `image-corrupt` where it is damaged, not in use, or used by another file since. */
  async record(reference: FileReference, signal: AbortSignal): Promise<FileRecord> {
    const { recordBytes } = this.#volume.geometry;
    const bytes = await readMetadata(this.#volume, this.#stream, reference.record * recordBytes, recordBytes, signal);
    const record = parseFileRecord(bytes, reference.record);
    if (!record.inUse) throw imageCorrupt(record.where, "it is not in use");
    if (reference.sequence !== 0 && reference.sequence !== record.sequence) {
      throw imageCorrupt(record.where, `use ${reference.sequence} of it is named, and it is at ${record.sequence}`);
    }
    return record;
  }

  #extend(runs: Run[], part: MappedAttribute): void {
    const last = runs.at(-1);
    const end = last === undefined ? 0 : last.vcn + last.clusters;
    if (part.lowestVcn !== end) throw imageCorrupt("NTFS $MFT", `cluster ${end} of it is not mapped`);
    for (const run of attributeRuns(this.#volume.geometry, part, "NTFS $MFT", 0, Number.MAX_SAFE_INTEGER)) {
      if (runs.length >= mostRuns) throw notSupported(`An NTFS $MFT in more than ${mostRuns} fragments`);
      runs.push(run);
    }
  }
}

function tablePart(record: FileRecord, wanted: (attribute: MappedAttribute) => boolean): MappedAttribute {
  for (const attribute of record.attributes) {
    if (attribute.type !== attributeTypes.data || attribute.name !== "" || attribute.kind !== "mapped") continue;
    if (wanted(attribute)) return attribute;
  }
  throw imageCorrupt(record.where, "it has no part of the master file table");
}

/** The runs from that which holds `vcn`, found by halving. */
function* runsFrom(runs: readonly Run[], vcn: number): Generator<Run> {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const run = runs[middle];
    if (run !== undefined && run.vcn + run.clusters <= vcn) low = middle + 1;
    else high = middle;
  }
  for (let index = low; index < runs.length; index++) {
    const run = runs[index];
    if (run !== undefined) yield run;
  }
}
