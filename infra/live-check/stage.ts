/**
 * What the checks work with: a data disk of their own at a VM that somebody gives, written by its guest, and two generations of snapshots and
 * restore points of it. Each is made when the first check asks for it.
 *
 * 1. Everything that is made bears one prefix and is removed in the end, the newest first.
 * 2. Nothing that was there is changed, but that the disk is attached to the VM for a while.
 * 3. A SAS lives for one check.
 */
import { setTimeout } from "node:timers/promises";
import type { ComputeManagementClient, DataDisk, Disk, GrantAccessData, VirtualMachine } from "@azure/arm-compute";
import type { ArmConnection } from "../../shared/adapters/azure/managed/arm-connection.ts";
import { apiVersions, armCall, requireParts } from "../../shared/adapters/azure/managed/arm-connection.ts";
import { parseModel } from "../../shared/adapters/azure/managed/arm-models.ts";
import type { VmResourceId } from "../../shared/core/resource-id.ts";
import type { VaultStore } from "../../shared/ports/vault-store.ts";
import { z } from "zod";
import { grantAccess, revokeAccess } from "./access.ts";
import { writeInGuest } from "./guest.ts";
import { MadeThings } from "./made.ts";
import type { Span } from "./sas.ts";

const mebibyte = 1024 ** 2;
/** Of the data disk: the smallest that holds more than 10,000 ranges far enough apart. */
const diskGib = 1;
export const diskBytes = diskGib * 1024 * mebibyte;
const blockBytes = 4096;
const copyLookMs = 15_000;

/** What the guest writes before the first generation: something to read, and to leave alone afterwards. */
const before: Span = { offset: 960 * mebibyte, length: 32 * mebibyte };
/** What it writes between the two: a block here and there, more than one answer holds, and some whole mebibytes. */
const scattered = { count: 10_100, everyBlocks: 16, blockBytes };
const after: Span = { offset: 940 * mebibyte, length: 8 * mebibyte };

export interface Generation {
  readonly snapshotId: string;
  /** Of the data disk. */
  readonly diskPointId: string;
  /** Of the OS disk. */
  readonly osDiskPointId: string;
  readonly pointId: string;
}

export interface Generations {
  readonly first: Generation;
  readonly second: Generation;
  /** What the guest wrote between them. */
  readonly written: readonly Span[];
}

export interface StageOptions {
  readonly arm: ArmConnection;
  readonly vmId: VmResourceId;
  readonly prefix: string;
  readonly tell: (line: string) => void;
  /** A container, by an identity with the vault writer's roles. */
  readonly vault?: VaultStore;
}

export class Stage {
  readonly arm: ArmConnection;
  readonly client: ComputeManagementClient;
  readonly group: string;
  readonly prefix: string;
  readonly vault: VaultStore | undefined;
  readonly made = new MadeThings();
  readonly #options: StageOptions;
  readonly #vmName: string;
  #generations: Promise<Generations> | undefined;

  constructor(options: StageOptions) {
    const { arm, vmId, prefix, vault } = options;
    const { subscriptionId, resourceGroup, path } = requireParts(vmId);
    this.#options = options;
    this.arm = arm;
    this.prefix = prefix;
    this.vault = vault;
    this.group = resourceGroup;
    this.#vmName = path[0]?.[1] ?? "";
    this.client = arm.compute(subscriptionId);
  }

  /** `/subscriptions/…/providers/Microsoft.Compute/<type>/<name>` */
  idOf(type: string, name: string): string {
    return `${this.#options.vmId.split("/").slice(0, 5).join("/")}/providers/Microsoft.Compute/${type}/${name}`;
  }

  tell(line: string): void {
    this.#options.tell(line);
  }

  /** As it is now. */
  vm(signal: AbortSignal): Promise<VirtualMachine> {
    return armCall("look at the VM", signal, (abortSignal) =>
      this.client.virtualMachines.get(this.group, this.#vmName, { abortSignal }),
    );
  }

  /** A span that the guest has written, for reading. */
  readonly readable = before;

  generations(signal: AbortSignal): Promise<Generations> {
    this.#generations ??= this.#makeGenerations(signal);
    return this.#generations;
  }

  /** Calls with a SAS of each, which are given back afterwards. `asked` besides reading. */
  async withSas<T>(
    ids: readonly string[],
    call: (urls: readonly string[]) => Promise<T>,
    signal: AbortSignal,
    asked: Partial<GrantAccessData> = {},
  ): Promise<T> {
    const granted: string[] = [];
    try {
      const urls: string[] = [];
      for (const id of ids) {
        granted.push(id);
        urls.push((await this.grant(id, signal, asked)).accessSAS ?? "");
      }
      return await call(urls);
    } finally {
      for (const id of granted) await this.revoke(id, AbortSignal.timeout(120_000)).catch(() => undefined);
    }
  }

  grant(id: string, signal: AbortSignal, asked: Partial<GrantAccessData> = {}) {
    return grantAccess(this.client, id, asked, signal);
  }

  revoke(id: string, signal: AbortSignal): Promise<void> {
    return revokeAccess(this.client, id, signal);
  }

  /** An incremental snapshot of a disk. */
  async snapshot(name: string, diskId: string, signal: AbortSignal): Promise<string> {
    const { location } = await this.vm(signal);
    const own = `${this.prefix}-${name}`;
    const id = this.idOf("snapshots", own);
    this.made.add(`the snapshot ${own}`, async (abortSignal) => {
      await this.revoke(id, abortSignal).catch(() => undefined);
      await this.client.snapshots.delete(this.group, own, { abortSignal }).pollUntilDone({ abortSignal });
    });
    this.tell(`making the snapshot ${own}`);
    const creationData = { createOption: "Copy", sourceResourceId: diskId };
    await this.client.snapshots
      .createOrUpdate(this.group, own, { location, incremental: true, creationData }, { abortSignal: signal })
      .pollUntilDone({ abortSignal: signal });
    return id;
  }

  /** Waits until the background copy of a snapshot has ended, where there is one. */
  async copied(snapshotId: string, signal: AbortSignal): Promise<void> {
    const { path } = requireParts(snapshotId);
    const name = path[0]?.[1] ?? "";
    for (;;) {
      const { completionPercent = 100 } = await this.client.snapshots.get(this.group, name, { abortSignal: signal });
      if (completionPercent >= 100) return;
      this.tell(`the snapshot ${name} is copied to ${completionPercent} %`);
      await setTimeout(copyLookMs, undefined, { signal });
    }
  }

  /** A disk of its own, attached to nothing. */
  async ownDisk(name: string, disk: Omit<Disk, "location">, signal: AbortSignal): Promise<string> {
    const { location } = await this.vm(signal);
    const own = `${this.prefix}-${name}`;
    this.made.add(`the disk ${own}`, async (abortSignal) => {
      await this.client.disks.delete(this.group, own, { abortSignal }).pollUntilDone({ abortSignal });
    });
    this.tell(`making the disk ${own}`);
    await this.client.disks
      .createOrUpdate(this.group, own, { ...disk, location }, { abortSignal: signal })
      .pollUntilDone({ abortSignal: signal });
    return this.idOf("disks", own);
  }

  /** Begins a restore point; the collection is made with the first. */
  async beginPoint(name: string, signal: AbortSignal) {
    const { location } = await this.vm(signal);
    if (!this.made.names.includes(`the collection ${this.prefix}`)) {
      this.made.add(`the collection ${this.prefix}`, async (abortSignal) => {
        await this.client.restorePointCollections
          .delete(this.group, this.prefix, { abortSignal })
          .pollUntilDone({ abortSignal });
      });
      const collection = { location, source: { id: this.#options.vmId } };
      await this.client.restorePointCollections.createOrUpdate(this.group, this.prefix, collection, {
        abortSignal: signal,
      });
    }
    this.tell(`making the restore point ${name}`);
    const poller = this.client.restorePoints.create(this.group, this.prefix, name, {}, { abortSignal: signal });
    await poller.submitted();
    return { id: `${this.idOf("restorePointCollections", this.prefix)}/restorePoints/${name}`, poller };
  }

  async #makeGenerations(signal: AbortSignal): Promise<Generations> {
    const disk = await this.#attachDisk(signal);
    const where = { group: this.group, name: this.#vmName, lun: disk.lun };
    const write = { offset: before.offset, blockBytes: mebibyte, blocks: before.length / mebibyte };
    this.tell("writing in the guest");
    await writeInGuest(this.client, where, { whole: [write] }, signal);
    const first = await this.#generation("one", disk.id, signal);
    const again = { offset: after.offset, blockBytes: mebibyte, blocks: after.length / mebibyte };
    this.tell("writing in the guest, here and there: some minutes");
    await writeInGuest(this.client, where, { whole: [again], scattered }, signal);
    const second = await this.#generation("two", disk.id, signal);
    const blocks = Array.from({ length: scattered.count }, (_, i) => ({
      offset: i * scattered.everyBlocks * blockBytes,
      length: blockBytes,
    }));
    return { first, second, written: [...blocks, after] };
  }

  async #generation(name: string, diskId: string, signal: AbortSignal): Promise<Generation> {
    const snapshotId = await this.snapshot(name, diskId, signal);
    const { id, poller } = await this.beginPoint(name, signal);
    await poller.pollUntilDone({ abortSignal: signal });
    const disks = await this.diskPointsOf(id, signal);
    const own = disks.find(({ properties }) => isSame(properties.sourceResourceId, diskId));
    const vm = await this.vm(signal);
    const osDisk = vm.storageProfile?.osDisk?.managedDisk?.id;
    const os = disks.find(({ properties }) => isSame(properties.sourceResourceId, osDisk));
    if (own === undefined || os === undefined) throw new Error("A restore point lacks a disk of the VM.");
    return { snapshotId, diskPointId: own.id, osDiskPointId: os.id, pointId: id };
  }

  async diskPointsOf(pointId: string, signal: AbortSignal) {
    const query = { "api-version": apiVersions.disk };
    const found = await Array.fromAsync(
      this.arm.list(`${pointId}/diskRestorePoints`, query, "list the disks of a point", signal),
    );
    return found.map((one) => parseModel(diskPoint, one, "a disk of a restore point"));
  }

  async #attachDisk(signal: AbortSignal): Promise<{ readonly id: string; readonly lun: number }> {
    const vm = await this.vm(signal);
    const { location } = vm;
    const name = `${this.prefix}-data`;
    this.made.add(`the disk ${name}`, async (abortSignal) => {
      await this.client.disks.delete(this.group, name, { abortSignal }).pollUntilDone({ abortSignal });
    });
    this.tell(`making the disk ${name} of ${diskGib} GiB, and attaching it to ${this.#vmName}`);
    const zones = vm.zones === undefined ? {} : { zones: [...vm.zones] };
    const disk = {
      location,
      ...zones,
      sku: { name: "StandardSSD_LRS" },
      diskSizeGB: diskGib,
      creationData: { createOption: "Empty" },
    };
    await this.client.disks
      .createOrUpdate(this.group, name, disk, { abortSignal: signal })
      .pollUntilDone({ abortSignal: signal });
    const id = this.idOf("disks", name);
    const taken = (vm.storageProfile?.dataDisks ?? []).map(({ lun }) => lun);
    const lun = [...Array(64).keys()].find((one) => !taken.includes(one)) ?? 0;
    this.made.add(`the disk ${name} at ${this.#vmName}`, async (abortSignal) => {
      await this.#changeDisks((disks) => disks.filter(({ managedDisk }) => !isSame(managedDisk?.id, id)), abortSignal);
    });
    const own: DataDisk = { lun, createOption: "Attach", managedDisk: { id } };
    await this.#changeDisks((disks) => [...disks, own], signal);
    return { id, lun };
  }

  /** The others as they stand now, word for word: what is left out of the list is detached. */
  async #changeDisks(change: (disks: readonly DataDisk[]) => readonly DataDisk[], signal: AbortSignal): Promise<void> {
    const dataDisks = [...change((await this.vm(signal)).storageProfile?.dataDisks ?? [])];
    await this.client.virtualMachines
      .update(this.group, this.#vmName, { storageProfile: { dataDisks } }, { abortSignal: signal })
      .pollUntilDone({ abortSignal: signal });
  }
}

export function isSame(id: string | undefined, other: string | undefined): boolean {
  return id !== undefined && id.toLowerCase() === other?.toLowerCase();
}

const diskPoint = z.object({
  id: z.string(),
  properties: z.object({ sourceResourceId: z.string(), familyId: z.string().optional() }),
});
