/** VMs in memory, for tests and the simulation. */
import { isInScope, type DiscoveryScope } from "../../core/discovery-scope.ts";
import type { FarsideError } from "../../core/errors.ts";
import type { VmResourceId } from "../../core/resource-id.ts";
import type { ListedVm, VmDirectory } from "../../ports/vm-directory.ts";

export class MemoryVmDirectory implements VmDirectory {
  readonly #vms = new Map<string, ListedVm>();
  /** What a list of this scope throws after as many VMs. */
  readonly failing = new Map<DiscoveryScope, { readonly after: number; readonly error: FarsideError }>();
  /** Left out of lists, and there all the same: rights that are too narrow. */
  readonly unseen = new Set<VmResourceId>();
  lists = 0;

  put(vm: ListedVm): void {
    this.#vms.set(vm.resourceId.toLowerCase(), vm);
  }

  remove(resourceId: VmResourceId): void {
    this.#vms.delete(resourceId.toLowerCase());
  }

  async *list(scope: DiscoveryScope, signal: AbortSignal): AsyncGenerator<ListedVm> {
    this.lists++;
    const failing = this.failing.get(scope);
    let given = 0;
    for (const vm of [...this.#vms.values()].filter(({ resourceId }) => isInScope(resourceId, scope))) {
      signal.throwIfAborted();
      await Promise.resolve();
      if (failing !== undefined && given === failing.after) break;
      if (this.unseen.has(vm.resourceId)) continue;
      given++;
      yield vm;
    }
    if (failing !== undefined) throw failing.error;
  }

  async find(resourceId: VmResourceId, signal: AbortSignal): Promise<ListedVm | undefined> {
    signal.throwIfAborted();
    await Promise.resolve();
    return this.#vms.get(resourceId.toLowerCase());
  }
}
