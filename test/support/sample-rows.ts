/** One value of each catalog row, every optional property given, for tests. */
import {
  attemptId,
  parseDiskName,
  parsePointId,
  parsePolicyName,
  parseRunId,
  parseVmId,
  parseVmName,
  type RunId,
} from "../../shared/core/ids.ts";
import type { MachineTargetSpec } from "../../shared/core/machine-restore.ts";
import type { Policy } from "../../shared/core/policy.ts";
import { parseResourceGroupId, parseVmResourceId } from "../../shared/core/resource-id.ts";
import type { RestorePoint } from "../../shared/core/restore-point.ts";
import type { BackupRun, DiskProgress, RestoreRun, RunEvent, SnapshotSet } from "../../shared/core/run.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { ulid } from "../../shared/core/ulid.ts";
import type { ObjectId } from "../../shared/core/vault/manifest.ts";
import type { ProtectedVm, VmState } from "../../shared/core/vm.ts";

export const sampleEpochMs = Date.UTC(2026, 10, 21, 8, 30);
const at = timestamp(sampleEpochMs);

/** The n-th run, one second after the one before. */
export function sampleRunId(n: number): RunId {
  return parseRunId(ulid(sampleEpochMs + n * 1000, new Uint8Array(10).fill(n % 256)));
}

export const samplePointId = (n: number) => parsePointId(sampleRunId(n));

export const samplePolicy: Policy = {
  name: parsePolicyName("nightly"),
  schedule: { cron: "30 2 * * *", timeZone: "Europe/Berlin", jitterSeconds: 600 },
  retention: { keepLast: 3, keepHourly: 24, keepDaily: 7, keepWeekly: 5, keepMonthly: 12, keepYearly: 2 },
  consistency: { wanted: "application", least: "crash" },
  rpoSeconds: 86_400,
  retryWindowSeconds: 7200,
  freezeTtlSeconds: 30,
  shutdown: true,
  pauseReplication: false,
  usnRollback: "warn",
  createdAt: at,
  updatedAt: at,
};

export const sampleVm: ProtectedVm = {
  name: parseVmName("Web_01.example"),
  vmId: parseVmId("web-01-example-0123abcd"),
  policy: samplePolicy.name,
  source: {
    kind: "page-blob",
    disks: [{ name: parseDiskName("os"), url: "https://a.blob.core.windows.net/vhds/os.vhd", lun: 0, role: "os" }],
    guestUrl: "http://10.0.0.4:8080",
    powerState: "running",
  },
  osType: "windows",
  osVersion: "2008 R2",
  role: "domain-controller",
  protectedAt: at,
  updatedAt: at,
};

export const sampleVmState: VmState = {
  vmId: sampleVm.vmId,
  activeRunId: sampleRunId(2),
  lastRunId: sampleRunId(1),
  lastPointId: samplePointId(1),
  lastPointAt: at,
};

const sampleSet: SnapshotSet = {
  attemptId: attemptId(sampleRunId(1), 1),
  pointId: samplePointId(1),
  source: "page-blob",
  configuration: "c0".repeat(32) as ObjectId,
  sessionStartedAt: at,
  snapshotAt: at,
  consistency: {
    requested: "application",
    achieved: "filesystem",
    frozenAt: at,
    thawedAt: at,
    skewMs: 12,
    note: "ünïcödé 💾",
  },
  safety: { usnRollbackRisk: true, note: "A domain controller without VM-GenerationID." },
  snapshots: [
    {
      disk: parseDiskName("os"),
      lun: 0,
      role: "os",
      sizeBytes: 1 << 30,
      logicalSectorSize: 512,
      identity: "x",
      snapshotAt: at,
      reference: { account: "a", snapshot: "2026-11-21T08:30:00.0000000Z" },
    },
  ],
  parentPointId: samplePointId(0),
  downtime: { stopAskedAt: at, startAskedAt: at, runningAt: at },
};

const sampleProgress: DiskProgress = {
  name: parseDiskName("os"),
  sizeBytes: 1 << 30,
  mode: "incremental",
  method: "diff",
  changedBytes: 4096,
  readBytes: 1 << 20,
  newChunks: 1,
  newBytes: 1 << 20,
  storedBytes: 1234,
};

function sampleRun(n: number, facts: Partial<Pick<BackupRun, "vm" | "vmId">> = {}) {
  return {
    runId: sampleRunId(n),
    vm: sampleVm.name,
    vmId: sampleVm.vmId,
    createdAt: timestamp(sampleEpochMs + n * 1000),
    cancelRequestedAt: at,
    kind: "backup",
    trigger: { kind: "schedule", policy: samplePolicy.name, slot: at },
    policy: samplePolicy.name,
    wanted: "application",
    least: "crash",
    retryUntil: at,
    attempt: 1,
    stops: 1,
    startedAt: at,
    ...facts,
  } as const;
}

/** A backup run in each of its states. */
export function sampleBackupRuns(first: number): readonly BackupRun[] {
  const disks = [sampleProgress];
  const freeze = {
    guestUrl: "http://10.0.0.4",
    token: attemptId(sampleRunId(first), 1),
    requestedAt: at,
    ttlSeconds: 30,
  };
  const halt = {
    source: sampleVm.source,
    token: freeze.token,
    requestedAt: at,
    doubtUntil: at,
    released: true,
    startAskedAt: at,
    operation: "{}",
    failedStarts: 2,
    lookAt: at,
  } as const;
  const rested = { source: sampleVm.source, atRest: true, downtime: { stopAskedAt: at } };
  return [
    {
      ...sampleRun(first),
      state: "queued",
      notBefore: at,
      waiting: { condition: "provisioning", tries: 2 },
      freeze,
      halt,
    },
    {
      ...sampleRun(first + 1),
      state: "snapshotting",
      leaseUntil: at,
      attemptId: attemptId(sampleRunId(first + 1), 1),
      freeze,
      halt,
      rested,
      pending: {
        stage: "stopping",
        operation: '{"kind":"sample"}',
        lookAt: at,
        powerState: "running",
        configuration: sampleSet.configuration,
        sessionStartedAt: at,
        parentPointId: samplePointId(1),
      },
    },
    { ...sampleRun(first + 2), state: "copying", set: sampleSet, progress: { windows: 3, windowsDone: 1 }, disks },
    { ...sampleRun(first + 3), state: "committing", set: sampleSet, disks, freeze, halt },
    {
      ...sampleRun(first + 4),
      state: "succeeded",
      finishedAt: at,
      set: sampleSet,
      restorePointId: samplePointId(1),
      disks,
      freeze,
      halt,
      cleanUp: "pending",
    },
    {
      ...sampleRun(first + 5),
      state: "failed",
      finishedAt: at,
      error: { code: "guest-failed", message: "It did not answer.", details: { tries: 3 } },
      set: sampleSet,
      disks,
      freeze,
      halt,
      cleanUp: "done",
    },
    {
      ...sampleRun(first + 6),
      state: "cancelled",
      finishedAt: at,
      error: { code: "cancelled", message: "By request." },
      disks: [],
      cleanUp: "done",
    },
  ];
}

/** A restore run in each of its states. */
export function sampleRestoreRuns(first: number): readonly RestoreRun[] {
  const facts = (n: number) =>
    ({
      runId: sampleRunId(n),
      vm: sampleVm.name,
      vmId: sampleVm.vmId,
      createdAt: at,
      kind: "restore",
      pointId: samplePointId(1),
      target: { kind: "container", url: "https://b.blob.core.windows.net/restored" },
      disks: [{ name: parseDiskName("os"), sizeBytes: 1 << 30, url: "https://b/os.vhd", restoredBytes: 512 }],
      startedAt: at,
    }) as const;
  const progress = { windows: 2, windowsDone: 2 };
  return [
    { ...facts(first), state: "queued" },
    { ...facts(first + 1), state: "preparing" },
    { ...facts(first + 2), state: "copying", progress },
    { ...facts(first + 3), state: "finishing", progress },
    { ...facts(first + 4), state: "succeeded", finishedAt: at, cleanUp: "done" },
    {
      ...facts(first + 5),
      state: "failed",
      finishedAt: at,
      error: { code: "internal", message: "x" },
      cleanUp: "pending",
    },
    ...sampleMachineRestores(first + 6),
  ];
}

const group = parseResourceGroupId("/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/dr");
const wishes = {
  sku: "Premium_LRS",
  zone: "none",
  diskEncryptionSetId: `${group}/providers/Microsoft.Compute/diskEncryptionSets/set`,
  namePrefix: "web-back",
};
const machineTargets: readonly MachineTargetSpec[] = [
  { kind: "managed-disks", resourceGroup: group, location: "northeurope", ...wishes },
  {
    kind: "managed-vm",
    name: "twin",
    resourceGroup: group,
    location: "northeurope",
    size: "Standard_D4s_v5",
    subnetId: `${group}/providers/Microsoft.Network/virtualNetworks/net/subnets/default`,
    networkSecurityGroupId: "none",
    keepPrivateAddresses: true,
    leaveStopped: true,
    ...wishes,
  },
  { kind: "swap-disks", mayStop: true, namePrefix: "web-back" },
];

/** A restore to the platform in each of the states that have something of their own for it, of each kind. */
function sampleMachineRestores(first: number): readonly RestoreRun[] {
  const url = `${group}/providers/Microsoft.Compute/disks/web-back-os`;
  const facts = (n: number) =>
    ({
      runId: sampleRunId(n),
      vm: sampleVm.name,
      vmId: sampleVm.vmId,
      createdAt: at,
      kind: "restore",
      pointId: samplePointId(1),
      disks: [
        {
          name: parseDiskName("os"),
          sizeBytes: 1 << 30,
          url,
          restoredBytes: 0,
          pointId: samplePointId(1),
          drive: { role: "os", lun: 0, logicalSectorSize: 512 },
        },
      ],
      startedAt: at,
      machine: {
        snapshotAt: at,
        osType: "linux",
        resourceId: parseVmResourceId(`${group}/providers/Microsoft.Compute/virtualMachines/web`),
        notes: ["An extension is not made again."],
        made: [{ kind: "disk", id: url }],
      },
    }) as const;
  const pending = { operation: '{"kind":"sample"}', lookAt: at, leaseUntil: at };
  return machineTargets.flatMap((target, kind): readonly RestoreRun[] => [
    { ...facts(first + 3 * kind), target, state: "preparing", pending },
    {
      ...facts(first + 3 * kind + 1),
      target,
      state: "finishing",
      progress: { windows: 2, windowsDone: 2 },
      pending: { lookAt: at, leaseUntil: at },
    },
    {
      ...facts(first + 3 * kind + 2),
      target,
      state: "cancelled",
      finishedAt: at,
      error: { code: "cancelled", message: "By request." },
      cleanUp: "pending",
      cleanUpAt: at,
    },
  ]);
}

export function sampleEvent(runId: RunId, n: number): RunEvent {
  return {
    runId,
    at: timestamp(sampleEpochMs + n * 1000),
    name: "copy-started",
    message: `Event ${n}`,
    fields: { n, big: true, text: "a/b#c?" },
  };
}

export function samplePoint(n: number): RestorePoint {
  return {
    pointId: samplePointId(n),
    vmId: sampleVm.vmId,
    vm: sampleVm.name,
    runId: sampleRunId(n),
    parentPointId: samplePointId(0),
    trigger: "schedule",
    policy: samplePolicy.name,
    snapshotAt: at,
    committedAt: at,
    consistency: sampleSet.consistency,
    safety: sampleSet.safety,
    disks: [
      {
        name: parseDiskName("os"),
        lun: 0,
        role: "os",
        sizeBytes: 1 << 30,
        mode: "full",
        changedBytes: 1,
        newChunks: 1,
        storedBytes: 1,
      },
    ],
  };
}
