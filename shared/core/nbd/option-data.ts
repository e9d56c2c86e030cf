/** The data of the options that have some. Undefined: it is not what the protocol says. */
import { FieldReader } from "./field-reader.ts";

/** Of NBD_OPT_INFO and NBD_OPT_GO. */
export interface InfoOption {
  readonly exportName: string;
  /** NBD_INFO types; those that are not known are ignored. */
  readonly wanted: readonly number[];
}

export function parseInfoOption(data: Uint8Array): InfoOption | undefined {
  const reader = new FieldReader(data);
  const exportName = reader.countedText();
  const count = reader.u16();
  if (exportName === undefined || count === undefined) return undefined;
  const wanted: number[] = [];
  for (let index = 0; index < count; index++) {
    const type = reader.u16();
    if (type === undefined) return undefined;
    wanted.push(type);
  }
  return reader.atEnd ? { exportName, wanted } : undefined;
}

/** Of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export interface ContextOption {
  readonly exportName: string;
  readonly queries: readonly string[];
}

export function parseContextOption(data: Uint8Array): ContextOption | undefined {
  const reader = new FieldReader(data);
  const exportName = reader.countedText();
  const count = reader.u32();
  if (exportName === undefined || count === undefined) return undefined;
  const queries: string[] = [];
  // Each takes four bytes at least, so the data's length bounds the loop, not the count.
  for (let index = 0; index < count; index++) {
    const query = reader.countedText();
    if (query === undefined) return undefined;
    queries.push(query);
  }
  return reader.atEnd ? { exportName, queries } : undefined;
}
