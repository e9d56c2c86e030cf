import type { Verb } from "../verb.ts";
export async function seed(_verb: Verb, _files: readonly string[]): Promise<void> {}
