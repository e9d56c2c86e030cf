/**
 * What Azure takes as names and values of disks and VMs. Each rule has its source; what only a region or a subscription can say (a size,
 * a SKU, a zone that it has) is left to the platform.
 */
import { FarsideError } from "./errors.ts";
import { quote } from "./ids.ts";
import { resourceParts } from "./resource-id.ts";

/**
 * "Naming rules and restrictions for Azure resources", Microsoft.Compute: virtualMachines have 1 to 64 characters (15 of a Windows VM bound
 * the computer name, which a VM from restored disks keeps), do not begin with an underscore and do not end with a period or hyphen; disks
 * have 1 to 80 letters, digits, underscores, periods and hyphens.
 */
const vmNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?$/;
/** A disk's name follows it, after a hyphen: 80 in all. */
const diskNamePrefixPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$/;
/** As ARM writes it: "West Europe" is `westeurope`. */
const locationPattern = /^[a-z0-9]{1,50}$/;
/** `Premium_LRS`; `Standard_D4s_v5`. */
const wordPattern = /^[A-Za-z][A-Za-z0-9_-]{0,99}$/;

type Check = (text: string) => string;

/** Throws `bad-input`, as all of these. */
export const parseMachineName: Check = byPattern(
  vmNamePattern,
  "the name of a VM of Azure: 1 to 64 letters, digits, underscores, periods and hyphens, with a letter or digit first and no period or hyphen last",
);
export const parseDiskNamePrefix: Check = byPattern(
  diskNamePrefixPattern,
  "a prefix for names of disks: 1 to 60 letters, digits, underscores, periods and hyphens, with a letter or digit first",
);
export const parseLocation: Check = byPattern(
  locationPattern,
  "a region as Azure Resource Manager writes it: give one like westeurope",
);
export const parseDiskSku: Check = byPattern(wordPattern, "a SKU of disks: give one like Premium_LRS");
export const parseMachineSize: Check = byPattern(wordPattern, "a size of VMs: give one like Standard_D4s_v5");
export const parseSubnetId: Check = byTypes("microsoft.network", ["virtualNetworks", "subnets"], "a subnet");
export const parseNetworkSecurityGroupId: Check = (text) =>
  text === "none"
    ? text
    : byTypes("microsoft.network", ["networkSecurityGroups"], 'a network security group, or "none"')(text);
export const parseDiskEncryptionSetId: Check = byTypes(
  "microsoft.compute",
  ["diskEncryptionSets"],
  "a disk encryption set",
);

function byPattern(pattern: RegExp, what: string): Check {
  return (text) => {
    if (pattern.test(text)) return text;
    throw new FarsideError("bad-input", `${quote(text)} is not ${what}.`, { details: { value: text.slice(0, 200) } });
  };
}

function byTypes(provider: string, types: readonly string[], what: string): Check {
  return (text) => {
    const parts = resourceParts(text);
    const isRight =
      parts?.provider.toLowerCase() === provider &&
      parts.path.length === types.length &&
      parts.path.every(([type], index) => type.toLowerCase() === types[index]?.toLowerCase());
    if (isRight) return text;
    const shown = provider === "microsoft.network" ? "Microsoft.Network" : "Microsoft.Compute";
    const path = types.map((type) => `${type}/<name>`).join("/");
    throw new FarsideError(
      "bad-input",
      `${quote(text)} is not the resource id of ${what}: give /subscriptions/<id>/resourceGroups/<group>/providers/${shown}/${path}.`,
      { details: { value: text.slice(0, 200) } },
    );
  };
}
