/**
 * The VMs that a platform has, with their tags.
 *
 * 1. A list that ends without throwing was complete: nobody is unprotected after one that was not.
 * 2. "Not there" only where the platform said so, of the VM itself or of its resource group.
 */
import type { DiscoveryScope } from "../core/discovery-scope.ts";
import type { VmResourceId } from "../core/resource-id.ts";

export interface ListedVm {
  readonly resourceId: VmResourceId;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly osType?: "linux" | "windows";
}

export interface VmDirectory {
  /** Every VM of a scope, in no order. Throws `forbidden`, `not-found`, `throttled`, and `source-corrupt` for what cannot be read. */
  list(scope: DiscoveryScope, signal: AbortSignal): AsyncIterable<ListedVm>;
  find(resourceId: VmResourceId, signal: AbortSignal): Promise<ListedVm | undefined>;
}
