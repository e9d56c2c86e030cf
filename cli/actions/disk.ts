import type { Verb } from "../verb.ts";
export async function importDisk(_verb: Verb, _file: string, _name: string, _o: { account?: string }): Promise<void> {}
