/** What a run's row holds while the platform makes the snapshots of a VM with as many disks as a VM may have. */
import { describe, expect, test } from "vitest";
import { parseBegun } from "../../../../shared/adapters/azure/managed/begun-operation.ts";
import { attemptId, parseDiskName, parsePolicyName, parseRunId, parseVmName } from "../../../../shared/core/ids.ts";
import type { BackupRun } from "../../../../shared/core/run.ts";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { parseObjectId } from "../../../../shared/core/vault/object-id.ts";
import { vmIdOf } from "../../../../shared/core/vm.ts";
import { collections } from "../../../../shared/wire/catalog/collections.ts";
import { decodeRow, encodeRow } from "../../../../shared/wire/catalog/row.ts";

const at = timestamp(Date.parse("2026-11-21T10:00:00Z"));
const name = parseVmName("web");
const runId = parseRunId("01ARZ3NDEKTSV4RRFFQ69G5FAV");
const subscription = "/subscriptions/11111111-2222-3333-4444-555555555555";
/** Azure's longest names: 90 letters of a resource group, 80 of a disk. */
const compute = `${subscription}/resourceGroups/${"g".repeat(90)}/providers/Microsoft.Compute`;
const origin = "https://management.azure.com";

/** As the SDK writes it. `signed`: what ARM may add to the URL of an operation, a certificate and a signature. */
function pollerOf(snapshot: string, signed: number): string {
  const operation = `${subscription}/providers/Microsoft.Compute/locations/southcentralus/diskOperations/ce0601a9-6542-4bf3-ba0f-7ee280e31eb3`;
  const config = {
    metadata: { mode: "OperationLocation" },
    operationLocation: `${origin}${operation}?p=ce0601a9-6542-4bf3-ba0f-7ee280e31eb3&api-version=2026-03-02&c=${"A".repeat(signed)}`,
    resourceLocation: `${origin}${snapshot}?api-version=2026-03-02`,
    initialRequestUrl: `${origin}${snapshot}?api-version=2026-03-02`,
    requestMethod: "PUT",
  };
  return JSON.stringify({ state: { status: "running", config } });
}

function pendingRun(disks: number, signed: number): BackupRun {
  const numbers = Array.from({ length: disks }, (_, index) => index);
  const operation = JSON.stringify({
    kind: "snapshots",
    made: numbers.map((index) => {
      const id = `${compute}/snapshots/farside-${runId}-12-${index}-0123abcd`;
      return { id, poller: pollerOf(id, signed) };
    }),
    disks: numbers.map((index) => ({
      id: `${compute}/disks/${"d".repeat(77)}${100 + index}`,
      name: parseDiskName(`lun-${index}`),
      role: index === 0 ? "os" : "data",
      lun: index,
      sizeBytes: 32 * 1024 ** 4,
      logicalSectorSize: 4096,
      identity: "a57ebf6d-55fa-43fa-a1c6-58bbdde33b52",
    })),
    startedAt: Date.parse(at),
  });
  parseBegun(operation);
  return {
    kind: "backup",
    runId,
    vm: name,
    vmId: vmIdOf(name),
    createdAt: at,
    trigger: { kind: "on-demand" },
    policy: parsePolicyName("daily"),
    wanted: "crash",
    least: "crash",
    retryUntil: at,
    attempt: 12,
    startedAt: at,
    state: "snapshotting",
    leaseUntil: at,
    attemptId: attemptId(runId, 12),
    pending: {
      operation,
      lookAt: at,
      powerState: "running",
      configuration: parseObjectId("a".repeat(64)),
      sessionStartedAt: at,
    },
  };
}

describe("The row of a run whose snapshots are being made", () => {
  test.each([
    [32, 0],
    [64, 0],
    [64, 3500],
  ])("holds %i disks with URLs that are %i letters longer", (disks, signed) => {
    const run = pendingRun(disks, signed);
    const row = encodeRow(collections.runs, run);
    const parts = Object.entries(row).flatMap(([key, part]) =>
      key.startsWith("document") ? [String(part).length] : [],
    );
    // 64 KiB of UTF-16 is what one property holds: a single one would not do.
    expect(Math.max(...parts)).toBeLessThan(32 * 1024);
    expect(parts.length).toBeGreaterThan(1);
    expect(decodeRow(collections.runs, collections.runs.rowKeyOf(runId), row)).toEqual(run);
  });
});
