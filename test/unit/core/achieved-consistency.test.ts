import { describe, expect, test } from "vitest";
import { achievedConsistency } from "../../../shared/core/achieved-consistency.ts";

const frozen = {
  kind: "frozen",
  level: "application",
  stillFrozen: true,
  token: "a",
  ownToken: "a",
  elapsedMs: 10,
  ttlMs: 100,
} as const;

describe("The consistency that is written down", () => {
  test("is the guest's where it was confirmed", () => {
    expect(achievedConsistency(frozen)).toEqual({ level: "application" });
    expect(achievedConsistency({ ...frozen, level: "filesystem" })).toEqual({ level: "filesystem" });
    const { token: _, ...mute } = frozen;
    expect(achievedConsistency(mute)).toEqual({ level: "application" });
  });

  test.each([
    ["the guest had thawed", { stillFrozen: false }],
    ["somebody else had frozen it", { token: "b" }],
    ["the freeze was over by its own limit", { elapsedMs: 100 }],
  ])("is crash where %s", (_, change) => {
    const achieved = achievedConsistency({ ...frozen, ...change });
    expect(achieved.level).toBe("crash");
    expect(achieved.note).toBeDefined();
  });

  test("of a stopped VM is filesystem, and of one without a freeze crash", () => {
    expect(achievedConsistency({ kind: "none", reason: "stopped" }).level).toBe("filesystem");
    for (const reason of ["not-wanted", "no-guest", "stopped-then-started", "given-up"] as const) {
      expect(achievedConsistency({ kind: "none", reason }).level).toBe("crash");
    }
  });
});
