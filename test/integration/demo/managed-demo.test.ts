import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { commandLineOf } from "../../../local/azurite/running-process.ts";

function armProcessOf(folder: string): number {
  return (JSON.parse(readFileSync(join(folder, "arm-process.json"), "utf8")) as { readonly pid: number }).pid;
}

const root = fileURLToPath(new URL("../../..", import.meta.url));

test("The demo of a VM of Azure plays to its end over the local ARM, every check of it was made and true, and it exits with 0", async () => {
  const { stdout } = await promisify(execFile)(join(root, "farside"), ["demo", "--managed", "--size", "64"]);
  const checks = stdout.split("\n").filter((line) => /^(?:true |FALSE) {2}/.test(line));
  expect(checks.filter((line) => line.startsWith("FALSE"))).toEqual([]);
  for (const point of [1, 2]) {
    for (const disk of ["os", "data-a", "data-b"]) {
      expect(stdout).toContain(`true   point ${point}: ${disk} is byte for byte what its guest had written`);
    }
    expect(stdout).toMatch(new RegExp(`true {3}point ${point}: the stripe is of one instant`));
    expect(stdout).toMatch(new RegExp(`true {3}point ${point}: e2fsck -fn finds|!! e2fsck is not installed`));
  }
  for (const disk of ["os", "data-a", "data-b"]) {
    expect(stdout).toContain(`true   point 2: ${disk} of the new VM is byte for byte what its guest had written`);
  }
  expect(stdout).toContain("true   point 2: the new VM is in northeurope");
  // The last column: requests to ARM, of the run.
  expect(stdout).toMatch(/^on-demand full +os .*filesystem .* \d+$/m);
  expect(stdout).toMatch(/^on-demand incremental +os .*filesystem .* \d+$/m);
  expect(stdout).toContain("true   one restore point is left in Azure, the base of the next backup");
  expect(existsSync(/Everything stays in (\S+),/.exec(stdout)?.[1] ?? "/")).toBe(false);
});

test("Interrupted in its middle it leaves no process and no folder, and exits with 130", async () => {
  // This Node itself: a signal to it reaches the demo.
  const child = spawn(process.execPath, [join(root, "cli/main.ts"), "demo", "--managed", "--size", "64"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(child, "exit");
  let out = "";
  await new Promise<void>((reached) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (out.includes("A full backup")) reached();
    });
  });
  const folder = /Everything stays in (\S+),/.exec(out)?.[1] ?? "";
  expect(existsSync(join(folder, "data", "arm", "region.journal"))).toBe(true);
  const claim = armProcessOf(join(folder, "data", "arm"));
  expect(await commandLineOf(claim)).toContain(folder);
  child.kill("SIGINT");
  expect(await exited).toEqual([130, null]);
  expect(existsSync(folder)).toBe(false);
  while ((await commandLineOf(claim)) !== undefined) await sleep(20);
});
