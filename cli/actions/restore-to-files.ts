import type { Verb } from "../verb.ts";
import type { RestoreFlags } from "./restore.ts";
export async function restoreToFiles(_verb: Verb, _vm: string, _dir: string, _flags: RestoreFlags): Promise<void> {}
