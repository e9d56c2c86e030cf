/** Resource ids of Azure Resource Manager, parsed. They do not tell upper case from lower. */
import { FarsideError } from "./errors.ts";
import { quote } from "./ids.ts";

declare const brand: unique symbol;

/** `/subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/virtualMachines/…` */
export type VmResourceId = string & { readonly [brand]: "VmResourceId" };

/** `/subscriptions/…/resourceGroups/…` */
export type ResourceGroupId = string & { readonly [brand]: "ResourceGroupId" };

export interface ResourceParts {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** Of the resource and of what it lies in, from the outside in: `["restorePointCollections", "web"]`, … */
  readonly path: readonly (readonly [type: string, name: string])[];
  readonly provider: string;
}

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
// The rules of resource groups (90 characters), and the widest of those of the resources that are named here.
// One of dots alone would climb in a path.
const groupName = /^(?!\.+$)[\p{L}\p{N}._()-]{1,90}$/u;
const resourceName = /^(?!\.+$)[\p{L}\p{N}._-]{1,128}$/u;

/** Undefined where it is none, or one of another provider than Microsoft.Compute and Microsoft.Network. */
export function resourceParts(id: string): ResourceParts | undefined {
  const [empty, subscriptions, subscriptionId = "", groups, resourceGroup = "", providers, provider = "", ...rest] =
    id.split("/");
  const isRooted = empty === "" && isWord(subscriptions, "subscriptions") && isWord(groups, "resourcegroups");
  if (!isRooted || !isWord(providers, "providers") || !guid.test(subscriptionId)) return undefined;
  if (!groupName.test(resourceGroup) || !/^microsoft\.(?:compute|network)$/i.test(provider)) return undefined;
  if (rest.length === 0 || rest.length % 2 !== 0 || !rest.every((part) => resourceName.test(part))) return undefined;
  const path = rest.flatMap((type, index): (readonly [string, string])[] =>
    index % 2 === 0 ? [[type, rest[index + 1] ?? ""]] : [],
  );
  return { subscriptionId, resourceGroup, path, provider };
}

/** Throws `bad-input`. */
export function parseVmResourceId(text: string): VmResourceId {
  const parts = resourceParts(text);
  const [type, ...inner] = parts?.path ?? [];
  const isVm = isWord(parts?.provider, "microsoft.compute") && isWord(type?.[0], "virtualmachines");
  if (isVm && inner.length === 0) return text as VmResourceId;
  throw new FarsideError(
    "bad-input",
    `${quote(text)} is not the resource id of a VM: give /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>.`,
    { details: { value: text.slice(0, 200) } },
  );
}

/** Throws `bad-input`. */
export function parseResourceGroupId(text: string): ResourceGroupId {
  const [empty, subscriptions, subscriptionId = "", groups, name = "", ...rest] = text.split("/");
  const isRooted = empty === "" && isWord(subscriptions, "subscriptions") && isWord(groups, "resourcegroups");
  if (isRooted && guid.test(subscriptionId) && groupName.test(name) && rest.length === 0)
    return text as ResourceGroupId;
  throw new FarsideError(
    "bad-input",
    `${quote(text)} is not the resource id of a resource group: give /subscriptions/<id>/resourceGroups/<name>.`,
    { details: { value: text.slice(0, 200) } },
  );
}

function isWord(text: string | undefined, word: string): boolean {
  return text?.toLowerCase() === word;
}
