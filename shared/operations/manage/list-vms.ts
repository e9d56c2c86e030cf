import pLimit from "p-limit";
import type { ProtectedVm, VmState } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import type { PageInput, PageOf } from "./list-page.ts";
import { listPage } from "./list-page.ts";

export interface VmListed {
  readonly vm: ProtectedVm;
  readonly state: VmState | undefined;
}

const readsAtOnce = 16;

export async function listVms(context: Context, input: PageInput, signal: AbortSignal): Promise<PageOf<VmListed>> {
  const page = await listPage(context.catalog.vms, {}, input, signal);
  const limit = pLimit(readsAtOnce);
  const items = await Promise.all(
    page.items.map((vm) =>
      limit(async () => ({ vm, state: (await context.catalog.vmStates.get(vm.vmId, signal))?.value })),
    ),
  );
  return { ...page, items };
}
