import { counted } from "../../shared/core/counted.ts";
import type { RebuildView } from "../../shared/wire/http/rebuild.ts";
import { rebuildViewSchema } from "../../shared/wire/http/rebuild.ts";
import { Api } from "../api.ts";
import type { Verb } from "../verb.ts";

/** Asks the service, whose tables they are, until it has nothing left. */
export async function rebuildVault(verb: Verb): Promise<void> {
  const api = new Api(verb);
  const all = { policies: [] as string[], vms: [] as string[], restorePoints: 0, unchanged: 0 };
  const differing: RebuildView["differing"] = [];
  const notes: RebuildView["notes"] = [];
  let after: string | undefined;
  do {
    const body = after === undefined ? {} : { after };
    const { value } = await api.post("vault/rebuild", body, rebuildViewSchema);
    all.policies.push(...value.policies);
    all.vms.push(...value.vms);
    all.restorePoints += value.restorePoints;
    all.unchanged += value.unchanged;
    differing.push(...value.differing);
    notes.push(...value.notes);
    after = value.next;
  } while (after !== undefined);

  const { output } = verb;
  if (output.json) {
    output.thing({ ...all, differing, notes }, []);
    return;
  }
  for (const name of all.policies) output.line(`Made the policy ${name}.`);
  for (const name of all.vms) output.line(`Made the VM ${name}.`);
  for (const { kind, name } of differing) {
    output.line(`Left the ${kind.replace("-", " ")} ${name} as it is: it differs from what the vault says.`);
  }
  for (const { note } of notes) output.line(note);
  output.line(
    `Made ${counted(all.restorePoints, "restore point")}, ${counted(all.vms.length, "VM")}, policies: ${all.policies.length}. ${counted(all.unchanged, "row")} stood already.`,
  );
}
