import type { Run } from "../../shared/core/run.ts";
import type { VaultDescriptor } from "../../shared/core/vault/descriptor.ts";
import type { FleetStatus, VmStatus } from "../../shared/operations/manage/fleet-status.ts";
import { discoveryReportView } from "../../shared/wire/http/discovery.ts";
import type { StatusView, VaultView, VmStatusView } from "../../shared/wire/http/status.ts";

export function statusView({ at, vms, discovery }: FleetStatus): StatusView {
  const count = (protection: VmStatus["protection"]): number => vms.filter((vm) => vm.protection === protection).length;
  return {
    at,
    summary: {
      vms: vms.length,
      ok: count("ok"),
      late: count("late"),
      none: count("none"),
      running: vms.filter((vm) => vm.activeRun !== undefined).length,
    },
    vms: vms.map(vmStatusView),
    discovery: discovery.map(discoveryReportView),
  };
}

function vmStatusView(status: VmStatus): VmStatusView {
  const { vm, state, policy } = status;
  return {
    vm: vm.name,
    vmId: vm.vmId,
    policy: vm.policy,
    protection: status.protection,
    ...(state?.lastPointId === undefined ? {} : { lastRestorePointId: state.lastPointId }),
    ...(state?.lastPointAt === undefined ? {} : { lastRestorePointAt: state.lastPointAt }),
    ...(status.ageSeconds === undefined ? {} : { ageSeconds: status.ageSeconds }),
    ...(policy === undefined ? {} : { rpoSeconds: policy.rpoSeconds }),
    ...(status.nextBackupAt === undefined ? {} : { nextBackupAt: status.nextBackupAt }),
    ...(status.down === undefined ? {} : { down: { ...status.down } }),
    ...(status.activeRun === undefined ? {} : { activeRun: runSummary(status.activeRun) }),
    ...(status.lastRun === undefined ? {} : { lastRun: lastRunSummary(status.lastRun) }),
  };
}

const runSummary = (run: Run) => ({ runId: run.runId, state: run.state });

const lastRunSummary = (run: Run) => ({
  ...runSummary(run),
  ...("error" in run ? { error: { ...run.error } } : {}),
});

export function vaultView(location: string, descriptor: VaultDescriptor): VaultView {
  return {
    vaultId: descriptor.vaultId,
    location,
    createdAt: descriptor.createdAt,
    formatVersion: descriptor.version,
    chunkSizeBytes: descriptor.chunkSizeBytes,
    encryption: descriptor.encryption,
    compression: descriptor.compression,
  };
}
