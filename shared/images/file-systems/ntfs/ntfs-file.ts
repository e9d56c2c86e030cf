/** A file with all its attributes, whichever records they stand in. Lists and runs are read when they are needed, and not kept. */
import { imageCorrupt } from "../../image-errors.ts";
import type { Attribute, MappedAttribute } from "./attribute.ts";
import { attributeTypes } from "./attribute.ts";
import type { ListedAttribute } from "./attribute-list.ts";
import { longestList, parseAttributeList } from "./attribute-list.ts";
import type { FileRecord } from "./file-record.ts";
import type { FileReference } from "./file-reference.ts";
import type { MasterFileTable } from "./master-file-table.ts";
import { attributeRuns, mappedStream, openStream } from "./open-stream.ts";
import { readMetadata } from "./read-stream.ts";
import type { Run } from "./runlist.ts";
import type { NtfsVolume, Stream } from "./stream.ts";

export class NtfsFile {
  readonly record: FileRecord;
  readonly #volume: NtfsVolume;
  readonly #table: MasterFileTable;
  readonly #list: readonly ListedAttribute[] | undefined;

  private constructor(
    volume: NtfsVolume,
    table: MasterFileTable,
    record: FileRecord,
    list: readonly ListedAttribute[] | undefined,
  ) {
    this.#volume = volume;
    this.#table = table;
    this.record = record;
    this.#list = list;
  }

  static async open(
    volume: NtfsVolume,
    table: MasterFileTable,
    reference: FileReference,
    signal: AbortSignal,
  ): Promise<NtfsFile> {
    const record = await table.record(reference, signal);
    const stands = record.base.record === 0 && record.base.sequence === 0;
    if (!stands) throw imageCorrupt(record.where, "it continues another file and is none itself");
    const list = record.attributes.find(({ type }) => type === attributeTypes.attributeList);
    if (list === undefined) return new NtfsFile(volume, table, record, undefined);
    const stream = openStream(volume.geometry, list, `${record.where}, attribute list`);
    if (stream.sizeBytes > longestList) throw imageCorrupt(stream.where, `it has ${stream.sizeBytes} bytes`);
    const bytes = await readMetadata(volume, stream, 0, stream.sizeBytes, signal);
    return new NtfsFile(volume, table, record, parseAttributeList(bytes, stream.where));
  }

  /** All attributes of a type; of one in parts the first part. */
  async *attributes(type: number, signal: AbortSignal): AsyncGenerator<Attribute> {
    if (this.#list === undefined) {
      for (const attribute of this.record.attributes) if (attribute.type === type) yield attribute;
      return;
    }
    for (const entry of this.#list) {
      if (entry.type === type && entry.lowestVcn === 0) yield await this.#listed(entry, signal);
    }
  }

  async attribute(type: number, name: string, signal: AbortSignal): Promise<Attribute | undefined> {
    for await (const attribute of this.attributes(type, signal)) if (attribute.name === name) return attribute;
    return undefined;
  }

  async stream(type: number, name: string, signal: AbortSignal): Promise<Stream | undefined> {
    const attribute = await this.attribute(type, name, signal);
    return attribute === undefined ? undefined : this.open(attribute);
  }

  /** The stream of an attribute that `attributes` gave. */
  open(attribute: Attribute): Stream {
    const { geometry } = this.#volume;
    const where = `${this.record.where}, attribute 0x${attribute.type.toString(16)}`;
    const parts = (this.#list ?? []).filter(({ type, name }) => type === attribute.type && name === attribute.name);
    if (attribute.kind === "resident" || parts.length <= 1) return openStream(geometry, attribute, where);
    for (const [index, part] of parts.entries()) {
      if (index > 0 && part.lowestVcn <= (parts[index - 1]?.lowestVcn ?? 0)) {
        throw imageCorrupt(where, "the parts in its attribute list are not in order");
      }
    }
    return mappedStream(geometry, attribute, where, (from, until, signal) =>
      this.#partRuns(parts, where, from, until, signal),
    );
  }

  /** Memory: one record at a time, however many parts there are. */
  async *#partRuns(
    parts: readonly ListedAttribute[],
    where: string,
    from: number,
    until: number,
    signal: AbortSignal,
  ): AsyncGenerator<Run> {
    const following = parts.findIndex(({ lowestVcn }) => lowestVcn > from);
    const first = following === -1 ? parts.length - 1 : Math.max(0, following - 1);
    for (const part of parts.slice(first)) {
      if (part.lowestVcn >= until) return;
      const attribute = await this.#listed(part, signal);
      if (attribute.kind !== "mapped") throw imageCorrupt(where, "a part of it lies in its record");
      yield* attributeRuns(this.#volume.geometry, attribute satisfies MappedAttribute, where, from, until);
    }
  }

  async #listed(entry: ListedAttribute, signal: AbortSignal): Promise<Attribute> {
    const inBase = entry.holder.record === this.record.number;
    const holder = inBase ? this.record : await this.#table.record(entry.holder, signal);
    if (!inBase && holder.base.record !== this.record.number) {
      throw imageCorrupt(holder.where, `it does not continue the file record ${this.record.number}`);
    }
    const found = holder.attributes.find((one) => isListed(one, entry));
    if (found === undefined) {
      throw imageCorrupt(holder.where, `the attribute ${entry.id} of type 0x${entry.type.toString(16)} is missing`);
    }
    return found;
  }
}

function isListed(attribute: Attribute, entry: ListedAttribute): boolean {
  const lowestVcn = attribute.kind === "mapped" ? attribute.lowestVcn : 0;
  return (
    attribute.type === entry.type &&
    attribute.id === entry.id &&
    attribute.name === entry.name &&
    lowestVcn === entry.lowestVcn
  );
}
