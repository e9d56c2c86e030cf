import { answer, type Check } from "../check.ts";
import { refusalOf } from "../platform-error.ts";
import { allPages, blobLength, readBytes } from "../sas.ts";

/** Of an Ultra or Premium SSD v2 disk: its snapshots are VHDX files, and are copied in the background before they can be read. */
export const sectors4k: Check = {
  name: "sectors-4k",
  question: "How is a snapshot of a disk with sectors of 4 KiB read: flat (fileFormat VHD), and compared?",
  assumed: "flat, with fileFormat VHD or without; compared like any other",
  relies: { file: "shared/adapters/azure/managed/access.ts", line: 'const read = { access: "Read"' },
  async ask(stage, signal) {
    const vm = await stage.vm(signal);
    let diskId = "";
    const made = await refusalOf(async () => {
      const properties = { diskSizeGB: 1, creationData: { createOption: "Empty", logicalSectorSize: 4096 } };
      const zones = vm.zones === undefined ? {} : { zones: [...vm.zones] };
      diskId = await stage.ownDisk("sectors", { sku: { name: "PremiumV2_LRS" }, ...zones, ...properties }, signal);
    }, signal);
    if (made !== undefined) {
      return { verdict: "could not be tried", found: `no Premium SSD v2 disk can be made here: ${made.shown}` };
    }
    const snapshots = [
      await stage.snapshot("sectors-1", diskId, signal),
      await stage.snapshot("sectors-2", diskId, signal),
    ];
    for (const id of snapshots) await stage.copied(id, signal);
    const told: string[] = [];
    let isAssumed = true;
    for (const [what, asked] of [
      ["without fileFormat", {}],
      ["VHD", { fileFormat: "VHD" }],
      ["VHDX", { fileFormat: "VHDX" }],
    ] as const) {
      let shown = "";
      let isFlat = false;
      const refusal = await refusalOf(
        () =>
          stage.withSas(
            snapshots,
            async ([older = "", newer = ""]) => {
              const start = Buffer.from(await readBytes(newer, { offset: 0, length: 512 }, signal));
              const length = await blobLength(newer, signal);
              isFlat = start.subarray(0, 8).toString("latin1") !== "vhdxfile";
              const { status, code } = await allPages(newer, { previous: older }, signal);
              shown = `${isFlat ? "flat" : "a VHDX file"} of ${length} bytes, compared: ${status === 200 ? "yes" : `${status} ${code}`}`;
              isFlat &&= status === 200;
            },
            signal,
            asked,
          ),
        signal,
      );
      if (what !== "VHDX") isAssumed &&= refusal === undefined && isFlat;
      told.push(`${what}: ${refusal === undefined ? shown : `refused, ${refusal.shown}`}`);
    }
    return answer(isAssumed, told.join("; "));
  },
};
