/** Where VMs are looked for: a subscription or a resource group. Resource ids do not tell upper case from lower. */
import { FarsideError } from "./errors.ts";
import { quote } from "./ids.ts";
import { parseResourceGroupId } from "./resource-id.ts";

declare const brand: unique symbol;

/** `/subscriptions/<id>` or `/subscriptions/<id>/resourceGroups/<name>`, without a slash at its end. */
export type DiscoveryScope = string & { readonly [brand]: "DiscoveryScope" };

const subscription = /^\/subscriptions\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Throws `bad-input`. */
export function parseDiscoveryScope(text: string): DiscoveryScope {
  const scope = text.trim().replace(/\/$/, "");
  if (subscription.test(scope) || isGroup(scope)) return scope as DiscoveryScope;
  throw new FarsideError(
    "bad-input",
    `${quote(text)} is no place to look for VMs: give /subscriptions/<id> or /subscriptions/<id>/resourceGroups/<name>.`,
  );
}

function isGroup(text: string): boolean {
  try {
    parseResourceGroupId(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether a resource lies in it. */
export function isInScope(resourceId: string, scope: DiscoveryScope): boolean {
  return resourceId.toLowerCase().startsWith(`${scope.toLowerCase()}/`);
}
