import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const farside = fileURLToPath(new URL("../../../farside", import.meta.url));

test("The demo plays to its end, every check of it was made and true, and it exits with 0", async () => {
  const { stdout } = await promisify(execFile)(farside, ["demo", "--size", "64"]);
  const checks = stdout.split("\n").filter((line) => /^(?:true |FALSE) {2}/.test(line));
  expect(checks.filter((line) => line.startsWith("FALSE"))).toEqual([]);
  for (const point of [1, 2]) {
    for (const disk of ["os", "data-a", "data-b"]) {
      expect(stdout).toContain(`true   point ${point}: ${disk} is byte for byte what its snapshot held`);
    }
    expect(stdout).toMatch(new RegExp(`true {3}point ${point}: the stripe is of one instant`));
    // Where the tool is missing the demo says so loudly instead.
    expect(stdout).toMatch(new RegExp(`true {3}point ${point}: e2fsck -fn finds|!! e2fsck is not installed`));
  }
  expect(stdout).toMatch(/on-demand incremental +os .*application/);
});

test("A disk too small for the demo is refused in one line, with exit code 2", async () => {
  const failed = promisify(execFile)(farside, ["demo", "--size", "3"]);
  await expect(failed).rejects.toMatchObject({ code: 2, stderr: expect.stringMatching(/^farside: The size 3 .*\n$/) });
});
