/** The guest of the VM, which writes to the check's own data disk by Run Command: nothing else changes a disk between two snapshots. */
import type { ComputeManagementClient, InstanceViewStatus } from "@azure/arm-compute";

export interface GuestWrite {
  /** Bytes; a multiple of `blockBytes`. */
  readonly offset: number;
  readonly blockBytes: number;
  readonly blocks: number;
}

export interface ScatteredWrites {
  readonly count: number;
  /** Distance from the beginning of one to that of the next, in blocks. */
  readonly everyBlocks: number;
  readonly blockBytes: number;
}

/** Where a LUN is found: by the rules of newer images (NVMe too), else by those of the VM agent. */
const device = (lun: number): string =>
  `D=$(ls -1 /dev/disk/azure/data/by-lun/${lun} /dev/disk/azure/scsi1/lun${lun} 2>/dev/null | head -n 1)`;

export async function writeInGuest(
  client: ComputeManagementClient,
  vm: { readonly group: string; readonly name: string; readonly lun: number },
  writes: { readonly whole: readonly GuestWrite[]; readonly scattered?: ScatteredWrites },
  signal: AbortSignal,
): Promise<void> {
  const script = ["set -e", device(vm.lun), ...writes.whole.map(line)];
  if (writes.scattered !== undefined) script.push(scatteredLine(writes.scattered));
  script.push("sync");
  const result = await client.virtualMachines.runCommand(
    vm.group,
    vm.name,
    { commandId: "RunShellScript", script },
    { abortSignal: signal },
  );
  const [wrong] = (result.value ?? []).map(errorsOf).filter((text) => text !== "");
  if (wrong !== undefined) throw new Error(`The guest could not write: ${wrong.slice(0, 200)}`);
}

function line({ offset, blockBytes, blocks }: GuestWrite): string {
  return `dd if=/dev/urandom of=$D bs=${blockBytes} seek=${offset / blockBytes} count=${blocks} conv=notrunc,fsync status=none`;
}

function scatteredLine({ count, everyBlocks, blockBytes }: ScatteredWrites): string {
  const dd = `dd if=/dev/urandom of=$D bs=${blockBytes} seek=$((i * ${everyBlocks})) count=1 conv=notrunc status=none`;
  return `for i in $(seq 0 ${count - 1}); do ${dd}; done`;
}

/** What came on standard error: where all is well, nothing. Linux agents frame both streams in one text, others give two. */
function errorsOf({ code = "", message = "" }: InstanceViewStatus): string {
  const [, framed] = message.split("[stderr]");
  if (framed !== undefined) return framed.trim();
  return code.includes("StdErr") ? message.trim() : "";
}
