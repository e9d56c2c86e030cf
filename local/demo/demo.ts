/**
 * The whole job on one machine: two regions, a VM with real disks under load, a scheduled backup, a change, an incremental
 * backup on demand, both restore points restored in the other region, and the proof.
 *
 * 1. It goes through what users go through: the HTTP API, the command line, the real timers and queues.
 * 2. The proof compares with the source's own snapshots, read while they stood, not with anything that Farside recorded.
 * 3. It succeeds only if every check was made and was true.
 */
import { execFile } from "node:child_process";
import { copyFile, open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BlobServiceClient, type ContainerClient } from "@azure/storage-blob";
import { findAppFolder } from "../stack/app-build.ts";
import type { Stack } from "../stack/stack.ts";
import { DemoApi, type DemoRun } from "./api.ts";
import { applyChanges } from "./apply-changes.ts";
import { startGuestProcess } from "./guest-client.ts";
import { changeOsDisk, checkFileSystem, makeOsDisk } from "./os-disk.ts";
import { readPageBlob, snapshotsOfRun, type DiskContent } from "./proof.ts";
import { onStage, type DemoOptions, type Stage } from "./stage.ts";
import { judgeStripe } from "./stripe.ts";
import { demoTable } from "./table.ts";

const mib = 1024 * 1024;
const vm = "demo-vm";
const diskNames = ["os", "data-a", "data-b"] as const;
type DemoDisk = (typeof diskNames)[number];

/** What is known of one restore point before it is restored. */
interface CapturedPoint {
  readonly run: DemoRun;
  readonly contents: ReadonlyMap<string, DiskContent>;
}

/** Gives the exit code: 0 only if everything that the demo claims was true. Throws `bad-input` for a disk too small. */
export async function runDemo(options: DemoOptions): Promise<number> {
  return onStage(options, {}, (stage) => new Demo(stage).play());
}

class Demo {
  readonly #scene: Stage;
  readonly #stack: Stack;
  readonly #api: DemoApi;

  constructor(stage: Stage) {
    this.#scene = stage;
    this.#stack = stage.stack;
    this.#api = new DemoApi(stage.stack, stage.signal);
  }

  async play(): Promise<void> {
    const { folder, sizeMiB, print: say } = this.#scene;
    const source = BlobServiceClient.fromConnectionString(this.#stack.file.regions.source.connectionString);
    const vault = BlobServiceClient.fromConnectionString(this.#stack.file.regions.vault.connectionString);

    const os = await makeOsDisk(folder, sizeMiB, join(findAppFolder(), "node_modules"));
    if (os.fileSystem === "pattern")
      say("!! mkfs.ext4 and debugfs are not installed: the OS disk holds a plain pattern, not a file system.");
    const urls = await this.#importDisks(os.file);
    const container = source.getContainerClient(new URL(urls["os"]).pathname.split("/").at(-2) ?? "");
    const guest = await startGuestProcess({
      accountName: source.accountName,
      accountKey: this.#stack.file.regions.source.key,
      disks: [urls["data-a"], urls["data-b"]],
      firstRecord: 0,
    });
    try {
      say(
        `A VM with ${diskNames.length} disks runs; its guest writes a numbered stripe over data-a and data-b all the time.`,
      );
      await this.#protect(urls, guest.url);

      say("Waiting for the schedule: a timer tick starts the first backup.");
      const first = await this.#capture(container, await this.#scheduledRun());

      const before = join(folder, "os-before.img");
      await copyFile(os.file, before);
      await changeOsDisk(os, folder);
      const osBlob = container.getPageBlobClient(blobNameOf(urls["os"]));
      const changed = await applyChanges(before, os.file, os.sizeBytes, async (content, offset) => {
        await osBlob.uploadPages(content, offset, content.length);
      });
      say(
        `The OS disk was changed (${(changed / mib).toFixed(1)} MiB written); an incremental backup on demand, by HTTP.`,
      );
      const second = await this.#capture(container, await this.#onDemandRun());
      this.#check(
        "the second backup was incremental",
        second.run.disks.every((disk) => disk.mode === "incremental"),
      );

      for (const [number, point] of [first, second].entries()) {
        const target = vault.getContainerClient(`restored-${number + 1}`);
        await target.createIfNotExists();
        say(`Restoring point ${point.run.restorePointId} into the vault's region (${target.containerName}).`);
        await this.#restoreAndProve(point, target, number + 1);
      }
      say("");
      say(demoTable([first.run, second.run]));
    } finally {
      await guest.stop();
    }
  }

  #check(what: string, ok: boolean): void {
    this.#scene.checks.add(what, ok);
  }

  async #importDisks(osImage: string): Promise<Record<DemoDisk, string>> {
    const dataImage = join(this.#scene.folder, "data.img");
    const handle = await open(dataImage, "w");
    await handle.truncate((this.#scene.sizeMiB * mib) / 4);
    await handle.close();
    const urls = { os: "", "data-a": "", "data-b": "" };
    for (const name of diskNames) {
      const args = [
        "disk",
        "import",
        name === "os" ? osImage : dataImage,
        name,
        "--data",
        this.#stack.dataFolder,
        "--json",
      ];
      const { stdout } = await promisify(execFile)(join(findAppFolder(), "farside"), args, {
        signal: this.#scene.signal,
      });
      urls[name] = (JSON.parse(stdout) as { url: string }).url;
    }
    return urls;
  }

  async #protect(urls: Record<DemoDisk, string>, guestUrl: string): Promise<void> {
    // Every ten seconds, so that a tick soon finds a slot due; the demo switches it off once the first backup runs.
    await this.#setPolicy("*/10 * * * * *");
    await this.#api.put(`vms/${vm}`, {
      policy: "demo",
      osType: "linux",
      source: {
        kind: "page-blob",
        guestUrl,
        disks: diskNames.map((name, index) => ({
          name,
          url: urls[name],
          role: name === "os" ? "os" : "data",
          lun: index,
        })),
      },
    });
  }

  async #setPolicy(cron: string): Promise<void> {
    await this.#api.put("policies/demo", {
      schedule: { cron, timeZone: "UTC", jitterSeconds: 0 },
      retention: { keepLast: 7 },
      consistency: { wanted: "application", least: "application" },
      freezeTtlSeconds: 30,
    });
  }

  /** The minute timer would find the slot as well; it is asked to fire now, as an operator could. */
  async #scheduledRun(): Promise<DemoRun> {
    for (let tries = 0; tries < 30; tries++) {
      await this.#api.fireTimer("schedule-backups");
      const [run] = await this.#api.runsOf(vm);
      if (run !== undefined) {
        await this.#setPolicy("0 3 * * *");
        return await this.#api.finished(run.runId);
      }
      await sleep(1000, undefined, { signal: this.#scene.signal });
    }
    throw new Error("No timer tick started a backup within 30 seconds.");
  }

  async #onDemandRun(): Promise<DemoRun> {
    const { runId } = await this.#api.post<{ runId: string }>(`vms/${vm}/backups`, {});
    return await this.#api.finished(runId);
  }

  /** Reads what the run's snapshots hold, while they stand. */
  async #capture(container: ContainerClient, run: DemoRun): Promise<CapturedPoint> {
    if (run.state !== "succeeded")
      throw new Error(`The backup ${run.runId} ${run.state}: ${run.error?.message ?? "no reason"}`);
    const snapshots = await snapshotsOfRun(container, run.runId);
    const contents = new Map<string, DiskContent>();
    for (const disk of run.disks) {
      const snapshot = [...snapshots].find(([name]) => name.includes(disk.name))?.[1];
      if (snapshot === undefined)
        throw new Error(`The snapshot of disk ${disk.name} that run ${run.runId} took is not there.`);
      contents.set(disk.name, await readPageBlob(snapshot, disk.sizeBytes));
    }
    this.#check(`the ${run.trigger} backup was ${run.consistency}-consistent`, run.consistency === "application");
    return { run, contents };
  }

  async #restoreAndProve(point: CapturedPoint, target: ContainerClient, number: number): Promise<void> {
    const { runId } = await this.#api.post<{ runId: string }>(`vms/${vm}/restores`, {
      restorePointId: point.run.restorePointId,
      target: { kind: "container", url: target.url },
    });
    const restore = await this.#api.finished(runId);
    if (restore.state !== "succeeded")
      throw new Error(`The restore ${runId} ${restore.state}: ${restore.error?.message ?? "no reason"}`);
    const rings: Uint8Array[] = [];
    for (const disk of point.run.disks) {
      const file = disk.name === "os" ? join(this.#scene.folder, `restored-${number}-os.img`) : undefined;
      const restored = await readPageBlob(target.getPageBlobClient(`${disk.name}.vhd`), disk.sizeBytes, file);
      const captured = point.contents.get(disk.name);
      this.#check(
        `point ${number}: ${disk.name} is byte for byte what its snapshot held`,
        captured?.sha256 === restored.sha256,
      );
      if (disk.name !== "os") rings.push(restored.ring);
      if (file !== undefined) await this.#checkOsDisk(file, number);
    }
    const [ringA, ringB] = rings;
    if (ringA === undefined || ringB === undefined) throw new Error("The stripe's disks were not restored.");
    const verdict = judgeStripe(ringA, ringB);
    this.#check(
      `point ${number}: the stripe is of one instant (data-a at record ${verdict.newestA}, data-b at ${verdict.newestB})`,
      verdict.oneInstant && verdict.newestA > 0,
    );
  }

  async #checkOsDisk(file: string, number: number): Promise<void> {
    const result = await checkFileSystem(file);
    if (result === undefined) {
      this.#scene.print("!! e2fsck is not installed: the restored file system was not checked.");
      return;
    }
    this.#check(`point ${number}: e2fsck -fn finds the restored file system clean`, result.clean);
  }
}

function blobNameOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.split("/").slice(3).join("/"));
}
