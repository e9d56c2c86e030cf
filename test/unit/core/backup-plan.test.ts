import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fullReason, groupWindows, segmentsOf } from "../../../shared/core/backup-plan.ts";
import { parseDiskName } from "../../../shared/core/ids.ts";
import type { DiskSnapshot } from "../../../shared/core/run.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import type { ManifestDisk, ObjectId } from "../../../shared/core/vault/manifest.ts";

const tib = 1024 ** 4;
const facts = { role: "os", logicalSectorSize: 512, identity: "a", snapshotAt: timestamp(0) } as const;
const snapshot = (sizeBytes: number, identity = "a"): DiskSnapshot => {
  return { ...facts, identity, disk: parseDiskName("os"), sizeBytes, reference: {} };
};
const parent = (sizeBytes: number): ManifestDisk => {
  const counts = { changedBytes: 0, newChunks: 0, storedBytes: 0 };
  return {
    ...facts,
    ...counts,
    name: parseDiskName("os"),
    sizeBytes,
    index: "0".repeat(64) as ObjectId,
    snapshot: {},
    mode: "full",
  };
};

describe("A disk is copied in full", () => {
  test.each([
    ["that the parent does not have", snapshot(tib), undefined, "new-disk"],
    ["that is another one under its name", snapshot(tib, "b"), parent(tib), "other-identity"],
    ["that has become smaller", snapshot(tib - 512), parent(tib), "shrunk"],
    ["that has grown over 4 TiB", snapshot(4 * tib + 512), parent(4 * tib), "grown-over-4-tib"],
    ["unless it is the same", snapshot(tib), parent(tib), undefined],
    ["unless it has grown below 4 TiB", snapshot(4 * tib), parent(tib), undefined],
    ["unless it has grown above 4 TiB", snapshot(8 * tib), parent(5 * tib), undefined],
  ])("%s", (_, disk, before, reason) => {
    expect(fullReason(disk, before)).toBe(reason);
  });
});

describe("Windows", () => {
  const weights = fc
    .uniqueArray(fc.tuple(fc.nat(3000), fc.nat(500)), { selector: ([segment]) => segment, maxLength: 600 })
    .map((list) => list.sort(([a], [b]) => a - b));

  test("hold every segment once and in order, and no more than asked for but where one segment is more", () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 2000 }), (segments, windowBytes) => {
        const windows = groupWindows(segments, windowBytes);
        const held = windows.flatMap(({ segments: runs }) => [...segmentsOf(runs)]);
        expect(held).toEqual(segments.map(([segment]) => segment));
        for (const window of windows) {
          const count = [...segmentsOf(window.segments)].length;
          expect(window.bytes <= windowBytes || count === 1).toBe(true);
          expect(count).toBeLessThanOrEqual(256);
        }
      }),
    );
  });

  test("are as few as one for a small change", () => {
    const windows = groupWindows(
      [
        [0, 5],
        [1, 5],
        [7, 5],
      ],
      100,
    );
    expect(windows).toEqual([
      {
        segments: [
          [0, 2],
          [7, 1],
        ],
        bytes: 15,
      },
    ]);
    expect(groupWindows([], 100)).toEqual([]);
  });
});
