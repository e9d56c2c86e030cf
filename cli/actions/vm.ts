import { counted } from "../../shared/core/counted.ts";
import { parseVmResourceId } from "../../shared/core/resource-id.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseDiskName, parsePolicyName, parseVmName, quote } from "../../shared/core/ids.ts";
import type { VmView } from "../../shared/wire/http/vm.ts";
import { vmViewSchema } from "../../shared/wire/http/vm.ts";
import { Api } from "../api.ts";
import { formatTime } from "../format.ts";
import { refuseRules, rulesOf, rulesText } from "./disk-rules.ts";
import type { NamedUrl } from "../parse.ts";
import type { Verb } from "../verb.ts";

export interface ProtectFlags {
  readonly policy: string;
  readonly disk?: readonly NamedUrl[];
  readonly resourceId?: string;
  readonly includeDisk?: readonly string[];
  readonly excludeDisk?: readonly string[];
  readonly osDisk?: string;
  readonly guest?: string;
  readonly powerState?: string;
  readonly osType?: string;
  readonly osVersion?: string;
  readonly role?: string;
}

export async function protect(verb: Verb, nameText: string, flags: ProtectFlags): Promise<void> {
  const name = parseVmName(nameText);
  const body = {
    policy: parsePolicyName(flags.policy),
    source: sourceOf(flags),
    ...(flags.osType === undefined ? {} : { osType: flags.osType }),
    ...(flags.osVersion === undefined ? {} : { osVersion: flags.osVersion }),
    ...(flags.role === undefined ? {} : { role: flags.role }),
  };
  const { raw, value, status } = await new Api(verb).put(`vms/${name}`, body, vmViewSchema);
  for (const warning of value.warnings ?? []) verb.output.warning(warning);
  const disks = value.source.kind === "managed" ? "its managed disks" : counted(value.source.disks.length, "disk");
  verb.output.done(
    raw,
    `${status === 201 ? "Protecting" : "Changed"} ${name}: ${disks}, policy ${value.policy}. Back it up now with "farside backup ${name} --wait".`,
  );
}

function sourceOf(flags: ProtectFlags): object {
  const { resourceId, disk, guest, powerState } = flags;
  if (resourceId === undefined && disk === undefined) {
    throw new FarsideError(
      "bad-input",
      "Say what to protect: --resource-id for a VM of Azure, or --disk for page blobs.",
    );
  }
  if (resourceId === undefined) {
    refuseRules(flags);
    return {
      kind: "page-blob",
      disks: disksOf(flags, disk ?? []),
      ...(guest === undefined ? {} : { guestUrl: guest }),
      ...(powerState === undefined ? {} : { powerState }),
    };
  }
  const others = ["disk", "osDisk", "guest", "powerState"] as const;
  if (others.some((name) => flags[name] !== undefined)) {
    throw new FarsideError(
      "bad-input",
      "With --resource-id the VM's disks, state and guest are the platform's: leave out their options.",
    );
  }
  const disks = rulesOf(flags);
  return {
    kind: "managed",
    resourceId: parseVmResourceId(resourceId),
    ...(disks === undefined ? {} : { disks }),
  };
}

function disksOf(flags: ProtectFlags, given: readonly NamedUrl[]): readonly object[] {
  for (const disk of given) parseDiskName(disk.name);
  const named = (name: string): string => {
    if (given.some((disk) => disk.name === name)) return name;
    const known = given.map((disk) => disk.name).join(", ");
    throw new FarsideError("not-found", `There is no disk ${quote(name)} among those given (${known}).`, {
      details: { disk: name },
    });
  };
  const excluded = new Set(flags.excludeDisk?.map(named));
  const osDisk = flags.osDisk === undefined ? undefined : named(flags.osDisk);
  const disks = given.filter((disk) => !excluded.has(disk.name));
  if (disks.length === 0) throw new FarsideError("bad-input", "Every disk is excluded: leave at least one.");
  return disks.map(({ name, url }) => ({
    name,
    url,
    ...(osDisk === undefined ? {} : { role: name === osDisk ? "os" : "data" }),
  }));
}

export async function listVmsAction(verb: Verb): Promise<void> {
  const { raw, items } = await new Api(verb).list("vms", vmViewSchema);
  verb.output.list(
    raw,
    items,
    [
      { title: "vm", value: (vm) => vm.name },
      { title: "policy", value: (vm) => (vm.protectedBy === "tag" ? `${vm.policy} (tag)` : vm.policy) },
      { title: "disks", value: (vm) => disksText(vm) },
      { title: "last restore point", value: (vm) => formatTime(vm.lastRestorePointAt) },
      { title: "active run", value: (vm) => vm.activeRunId ?? "-" },
    ],
    'No VM is protected yet: protect one with "farside vm protect".',
  );
}

export async function showVm(verb: Verb, nameText: string): Promise<void> {
  const name = parseVmName(nameText);
  const { raw, value } = await new Api(verb).get(`vms/${name}`, vmViewSchema);
  verb.output.thing(raw, [
    ["VM", value.name],
    ["id in the vault", value.vmId],
    ["policy", value.policy],
    ["protected by", value.protectedBy === "tag" ? "its tag" : undefined],
    ["resource", value.source.kind === "managed" ? value.source.resourceId : undefined],
    ["disks included", value.source.kind === "managed" ? rulesText(value.source.disks?.include) : undefined],
    ["disks excluded", value.source.kind === "managed" ? rulesText(value.source.disks?.exclude) : undefined],
    ["guest", value.source.kind === "managed" ? undefined : value.source.guestUrl],
    ["power state", value.source.kind === "managed" ? undefined : value.source.powerState],
    ["system", systemText(value)],
    ["role", value.role],
    ["protected", formatTime(value.protectedAt)],
    ["changed", formatTime(value.updatedAt)],
    [
      "last restore point",
      value.lastRestorePointId === undefined
        ? "none"
        : `${formatTime(value.lastRestorePointAt)}  ${value.lastRestorePointId}`,
    ],
    ["active run", value.activeRunId],
  ]);
  if (value.source.kind === "managed") return;
  verb.output.table(value.source.disks, [
    { title: "disk", value: (disk) => disk.name },
    { title: "role", value: (disk) => disk.role ?? "-" },
    { title: "url", value: (disk) => disk.url },
  ]);
}

export async function unprotect(verb: Verb, nameText: string): Promise<void> {
  const name = parseVmName(nameText);
  await new Api(verb).remove(`vms/${name}`);
  verb.output.done({ unprotected: name }, `${name} is not protected any more. Its restore points stay in the vault.`);
}

function disksText({ source }: VmView): string {
  return source.kind === "managed" ? "managed" : source.disks.map((disk) => disk.name).join(", ");
}

function systemText({ osType, osVersion }: VmView): string | undefined {
  const text = [osType, osVersion].filter((part) => part !== undefined).join(" ");
  return text === "" ? undefined : text;
}
