/**
 * Programs that tests use as independent judges. `.ci/run` installs all of them and sets FARSIDE_REQUIRE_TOOLS, so that a missing one
 * fails there; elsewhere the tests that need it are skipped, and say so.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];

/**
 * Whether all of them are here. Use as `describe.runIf(haveTools("mkfs.xfs", "root"))`. `root` stands for the rights to mount a loop
 * device.
 */
export function haveTools(...names: readonly string[]): boolean {
  const missing = names.filter((name) => (name === "root" ? !mayMount() : toolPath(name) === undefined));
  if (missing.length === 0) return true;
  if (process.env["FARSIDE_REQUIRE_TOOLS"] !== undefined) throw new Error(`These tests need ${missing.join(", ")}.`);
  process.stderr.write(`\n!! SKIPPED: tests that need ${missing.join(", ")}, which this machine does not have.\n`);
  return false;
}

/** The full path of a program; its name alone where it is missing. */
export function tool(name: string): string {
  return toolPath(name) ?? name;
}

function toolPath(name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => may(path, constants.X_OK));
}

function mayMount(): boolean {
  return process.getuid?.() === 0 && may("/dev/loop-control", constants.R_OK | constants.W_OK);
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
