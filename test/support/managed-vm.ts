/** A local ARM with VMs in it whose guests can write, for tests. The clock of the caller is the region's. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DiskCreateOption, OperatingSystemTypes } from "@azure/arm-compute";
import { startArmServer, type ArmServer } from "../../local/arm/arm-server.ts";
import { parseVmResourceId, type VmResourceId } from "../../shared/core/resource-id.ts";
import { computeClient } from "./arm-client.ts";
import { DataCheck } from "./specification/data-check.ts";
import { ExchangeCheck } from "./specification/exchange-check.ts";
import { refuseFindings } from "./specification/refuse-findings.ts";

export const group = "prod";
const location = "westeurope";
const poll = { updateIntervalInMs: 1 };

export interface ManagedRegion {
  readonly server: ArmServer;
  readonly client: ReturnType<typeof computeClient>;
  /** `METHOD path` of each request so far. */
  readonly requests: string[];
  /** The operations of the specification that were answered without an error. */
  readonly exercised: ReadonlySet<string>;
  addVm(name: string, disks: number, kind?: VmKind): Promise<ManagedVm>;
  /** This answer of the region is wrong on purpose. */
  expectFinding(pattern: RegExp): void;
  /** Throws what in the exchanges so far is not as the official specifications have it. */
  stop(): Promise<void>;
}

export interface VmKind {
  readonly osType?: OperatingSystemTypes;
  readonly securityType?: "TrustedLaunch";
  /** Of each disk. */
  readonly sizeGib?: number;
}

export interface ManagedVm {
  readonly resourceId: VmResourceId;
  readonly diskIds: readonly string[];
  /** As the guest of the running VM writes. */
  write(disk: number, offset: number, content: Uint8Array): Promise<void>;
  clear(disk: number, offset: number, length: number): void;
  /** What the disk holds now. */
  read(disk: number, offset: number, length: number): Promise<Uint8Array>;
  /** Firmware variables and virtual TPM of a trusted-launch VM, with the footer of its blob. */
  readGuestState(): Promise<Uint8Array>;
}

export interface RegionOptions {
  readonly now: () => number;
  readonly takes?: (operation: string) => number;
}

export const diskGib = 1;

export async function startManagedRegion({ now, takes = () => 0 }: RegionOptions): Promise<ManagedRegion> {
  const folder = await mkdtemp(join(tmpdir(), "farside-arm-"));
  const requests: string[] = [];
  const onRequest = (request: string) => void requests.push(request);
  // Making the region's own things takes no time.
  let ready = true;
  const check = new ExchangeCheck();
  const expected: RegExp[] = [];
  const dataCheck = await DataCheck.open();
  const server = await startArmServer({
    folder,
    now,
    takes: (name) => (ready ? takes(name) : 0),
    onRequest,
    onExchange: (exchange) => check.see(exchange),
    onDataExchange: (exchange) => dataCheck.see(exchange),
  });
  const client = computeClient(server.url);
  const bytesOf = (id: string) => {
    const { bytes } = server.arm.resources.require(id);
    if (bytes === undefined) throw new Error("A disk has bytes.");
    return bytes;
  };
  return {
    server,
    client,
    requests,
    exercised: check.exercised,
    expectFinding: (pattern) => void expected.push(pattern),
    async addVm(name, disks, { osType = "Linux", securityType, sizeGib = diskGib } = {}) {
      ready = false;
      const createOption: DiskCreateOption = "Empty";
      const creationData = { createOption };
      const diskIds: string[] = [];
      for (let lun = 0; lun < disks; lun++) {
        const secure = securityType !== undefined && lun === 0 ? { securityProfile: { securityType } } : {};
        const disk = { location, creationData, diskSizeGB: sizeGib, ...secure };
        const made = await client.disks.createOrUpdate(group, `${name}-${lun}`, disk, poll);
        diskIds.push(made.id ?? "");
      }
      const [osDisk, ...dataDisks] = diskIds.map((id) => ({ createOption: "Attach", managedDisk: { id } }));
      if (osDisk === undefined) throw new Error("A VM has a disk.");
      const storageProfile = {
        osDisk: { ...osDisk, osType },
        dataDisks: dataDisks.map((disk, lun) => ({ ...disk, lun })),
      };
      const uefiSettings = { secureBootEnabled: true, vTpmEnabled: true };
      const secure = securityType === undefined ? {} : { securityProfile: { securityType, uefiSettings } };
      const model = { location, storageProfile, ...secure };
      const vm = await client.virtualMachines.createOrUpdate(group, name, model, poll);
      ready = true;
      return {
        resourceId: parseVmResourceId(vm.id ?? ""),
        diskIds,
        write: (disk, offset, content) => server.arm.store.write(bytesOf(diskIds[disk] ?? ""), offset, content),
        clear: (disk, offset, length) => server.arm.store.clear(bytesOf(diskIds[disk] ?? ""), offset, length),
        read: (disk, offset, length) => server.arm.store.read(bytesOf(diskIds[disk] ?? ""), offset, length),
        readGuestState: async () => {
          const { guestState } = server.arm.resources.require(diskIds[0] ?? "");
          if (guestState === undefined) throw new Error(`${name} has no guest state.`);
          return server.arm.store.read(guestState, 0, guestState.sizeBytes);
        },
      };
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true });
      refuseFindings([...check.findings, ...dataCheck.findings], expected);
    },
  };
}
