/**
 * The demo for VMs of Azure: a VM with three managed disks in a local ARM, which Farside reaches by Azure's own SDK; a full backup by a
 * restore point, an incremental one, both restored in the other region.
 *
 * 1. It goes through what users go through: the HTTP API, the command line, the real queues.
 * 2. The proof compares with what the guest itself knows that it had written at the instant, not with a snapshot, nor with anything that
 *    Farside recorded. The guest never stops writing.
 * 3. It succeeds only if every check was made and was true.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { apiVersions, LocalArmClient } from "../arm/local-client.ts";
import { asList, asObject, asText } from "../arm/resources.ts";
import { groupId } from "../arm/samples/sample-vms.ts";
import { findAppFolder } from "../stack/app-build.ts";
import { DemoApi, type DemoRun } from "./api.ts";
import { managedDisks, type ManagedGuest, type OfDisks, ringAt, type ManagedDisk } from "./managed-guest.ts";
import { setManagedScene } from "./managed-scene.ts";
import { checkFileSystem } from "./os-disk.ts";
import { diskIsImage, restoreAsVm, restoreLocation } from "./restored-vm.ts";
import { sameBytes } from "./same-bytes.ts";
import { onStage, type DemoOptions, type Stage } from "./stage.ts";
import { judgeStripe, readStripe, recordBytes, slots } from "./stripe.ts";
import { demoTable } from "./table.ts";

const mib = 1024 * 1024;
const vm = "demo-vm";
const compute = `${groupId}/providers/Microsoft.Compute`;
const vmId = `${compute}/virtualMachines/${vm}`;

/** A backup, and what the guest knows of its instant. */
interface Captured {
  readonly run: DemoRun;
  /** Without the stripe. */
  readonly images: OfDisks;
  /** Records of the stripe that stood before the backup was asked for, and when its restore point was there. */
  readonly records: { readonly before: number; readonly after: number };
  readonly armRequests: number;
}

/** Gives the exit code: 0 only if everything that the demo claims was true. Throws `bad-input` for a disk too small. */
export async function runManagedDemo(options: DemoOptions): Promise<number> {
  return onStage(options, { arm: { samples: false } }, (stage) => new ManagedDemo(stage).play());
}

class ManagedDemo {
  readonly #stage: Stage;
  readonly #api: DemoApi;
  readonly #arm: LocalArmClient;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#api = new DemoApi(stage.stack, stage.signal);
    this.#arm = new LocalArmClient(stage.stack.arm?.url ?? "", stage.signal);
  }

  async play(): Promise<void> {
    const { folder, print: say, checks } = this.#stage;
    const { guest, os } = await setManagedScene(this.#stage, this.#arm, vmId);
    guest.start();
    try {
      say(`A VM with ${managedDisks.length} managed disks runs: ${vmId}`);
      say("Its guest writes a numbered stripe over data-a and data-b all the time.");
      await this.#protect();

      say("A full backup by a VM restore point; while it is copied the guest changes the OS disk.");
      let changed = 0;
      const first = await this.#backUp(guest, "first", async () => {
        changed = await guest.changeFiles(os, folder);
      });
      await guest.write("data-b", 8 * mib, randomBytes(mib));
      await guest.trim("data-a", 4 * mib, mib);

      say(
        `The guest wrote ${(changed / mib).toFixed(1)} MiB to os and 1 MiB to data-b, and gave 1 MiB of data-a back; an incremental backup.`,
      );
      // Nothing of Azure is asked for a restore to files: it does not disturb the count of requests.
      const [second] = await Promise.all([
        this.#backUp(guest, "second", () => guest.write("data-b", 10 * mib, randomBytes(mib))),
        this.#restoreAndProve(first, 1),
      ]);
      say(`Restoring point 2 as a new VM in ${restoreLocation}, by direct upload.`);
      await Promise.all([this.#restoreAndProve(second, 2), this.#restoreAsVm(second, 2)]);
      this.#checkRuns(first, second, changed);
      await this.#checkLeft();
      say("");
      const requests = new Map([first, second].map(({ run, armRequests }) => [run.runId, armRequests]));
      say(demoTable([first.run, second.run], requests));
      say("");
    } finally {
      await guest.stop();
    }
    checks.add(`the guest was never stopped: it wrote ${guest.written} records`, guest.written > 0);
  }

  async #protect(): Promise<void> {
    await this.#api.put("policies/demo", {
      schedule: { cron: "0 3 * * *", timeZone: "UTC", jitterSeconds: 0 },
      retention: { keepLast: 7 },
      // The platform reads back what it achieved: of a Linux VM without scripts its file systems.
      consistency: { wanted: "application", least: "filesystem" },
    });
    await this.#api.put(`vms/${vm}`, { policy: "demo", source: { kind: "managed", resourceId: vmId } });
  }

  /** `meanwhile` is done when the restore point is there: nothing of it may be in the backup. */
  async #backUp(guest: ManagedGuest, name: string, meanwhile: () => Promise<void>): Promise<Captured> {
    const sentBefore = await this.#requests();
    const before = guest.written;
    const { runId } = await this.#api.post<{ runId: string }>(`vms/${vm}/backups`, {});
    await this.#api.reached(runId, (run) => !["queued", "snapshotting"].includes(run.state));
    const after = guest.written;
    const images = await guest.remember(this.#stage.folder, name);
    await meanwhile();
    const run = await this.#api.finished(runId);
    if (run.state !== "succeeded")
      throw new Error(`The backup ${runId} ${run.state}: ${run.error?.message ?? "no reason"}`);
    return { run, images, records: { before, after }, armRequests: (await this.#settled()) - sentBefore };
  }

  async #requests(): Promise<number> {
    const { reads, writes, deletes } = await this.#arm.requests();
    return reads + writes + deletes;
  }

  /** An ended run still gives back its SAS and removes older restore points: the count when nothing comes any more. */
  async #settled(): Promise<number> {
    let last = await this.#requests();
    for (let quiet = 0; quiet < 4;) {
      await sleep(250, undefined, { signal: this.#stage.signal });
      const now = await this.#requests();
      quiet = now === last ? quiet + 1 : 0;
      last = now;
    }
    return last;
  }

  async #restoreAndProve({ run, images, records }: Captured, number: number): Promise<void> {
    const { folder, signal, stack, checks } = this.#stage;
    const target = join(folder, `restored-${number}`);
    const point = run.restorePointId ?? "";
    const args = ["restore", vm, "--point", point, "--to-file", target, "--data", stack.dataFolder, "--json"];
    await promisify(execFile)(join(findAppFolder(), "farside"), args, { signal });
    const restored = (disk: ManagedDisk): string => join(target, `${disk}.raw`);
    const verdict = judgeStripe(await readRing(restored("data-a")), await readRing(restored("data-b")));
    checks.add(
      `point ${number}: the stripe is of one instant (data-a at record ${verdict.newestA}, data-b at ${verdict.newestB})`,
      verdict.oneInstant,
    );
    checks.add(
      `point ${number}: the instant is one while the backup took its restore point (records ${records.before} to ${records.after})`,
      verdict.newestB >= records.before - 1 && verdict.newestA <= records.after,
    );
    const rings = { os: undefined, "data-a": ringAt(verdict.newestA), "data-b": ringAt(verdict.newestB) };
    for (const disk of managedDisks) {
      checks.add(
        `point ${number}: ${disk} is byte for byte what its guest had written at the instant`,
        await sameBytes(restored(disk), images[disk], rings[disk]),
      );
    }
    const fileSystem = await checkFileSystem(restored("os"));
    if (fileSystem === undefined)
      this.#stage.print("!! e2fsck is not installed: the restored file system was not checked.");
    else checks.add(`point ${number}: e2fsck -fn finds the restored file system clean`, fileSystem.clean);
  }

  async #restoreAsVm({ run, images }: Captured, number: number): Promise<void> {
    const { checks } = this.#stage;
    const made = await restoreAsVm(this.#api, this.#arm, vm, run.restorePointId ?? "");
    checks.add(`point ${number}: the new VM is in ${restoreLocation}`, made.location === restoreLocation);
    for (const disk of managedDisks) {
      const id = made.disks.get(disk);
      // What the stripe says of itself decides which record is the last one.
      const ring =
        id === undefined || disk === "os" ? undefined : await this.#arm.diskHolds(id, 0, slots * recordBytes);
      const head = ring === undefined ? undefined : ringAt(readStripe(ring).newest);
      checks.add(
        `point ${number}: ${disk} of the new VM is byte for byte what its guest had written at the instant`,
        id !== undefined && (await diskIsImage(this.#arm, id, images[disk], head)),
      );
    }
  }

  #checkRuns(first: Captured, second: Captured, osBytes: number): void {
    const { checks } = this.#stage;
    const modes = (captured: Captured, mode: string): boolean =>
      captured.run.disks.length === managedDisks.length && captured.run.disks.every((disk) => disk.mode === mode);
    checks.add(
      "the first backup was full, the second incremental",
      modes(first, "full") && modes(second, "incremental"),
    );
    for (const { run } of [first, second]) {
      checks.add(`the ${run.disks[0]?.mode} backup is filesystem-consistent`, run.consistency === "filesystem");
    }
    const changed = new Map(second.run.disks.map(({ name, changedBytes }) => [name, changedBytes]));
    checks.add("the incremental backup of os read exactly what the guest had written", changed.get("os") === osBytes);
  }

  /** The base of the next backup, and nothing else. */
  async #checkLeft(): Promise<void> {
    const collections = await this.#arm.list(`${compute}/restorePointCollections`, apiVersions.machines);
    let left = 0;
    for (const { id } of collections) {
      const found = await this.#arm.get(asText(id) ?? "", apiVersions.machines, "restorePoints");
      left += asList(asObject(found?.["properties"])["restorePoints"]).length;
    }
    this.#stage.checks.add("one restore point is left in Azure, the base of the next backup", left === 1);
  }
}

async function readRing(path: string): Promise<Buffer> {
  const file = await open(path);
  const ring = Buffer.alloc(slots * recordBytes);
  await file.read(ring, 0, ring.length, 0);
  await file.close();
  return ring;
}
