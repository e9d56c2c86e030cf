/**
 * What this machine says about another process, by its id.
 *
 * A process id is reused sooner or later, so an id alone proves nothing: whoever acts on a recorded id compares the
 * command line first.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The arguments of a running process joined by spaces; undefined where no such process runs (a zombie runs no more). */
export async function commandLineOf(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    // Not by `ps`: small container images have none.
    const raw = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return raw === "" ? undefined : raw.split("\0").join(" ").trim();
  }
  const { stdout } = await run("ps", ["-p", String(pid), "-ww", "-o", "command="]).catch(() => ({ stdout: "" }));
  return stdout.trim() === "" ? undefined : stdout.trim();
}

/** Sends a signal; false where the process has gone already. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/**
 * Ends a process of another parent: SIGCONT (a stopped process takes no other signal), SIGTERM, and SIGKILL after
 * `graceMs`. Returns when its command line has gone.
 */
export async function endProcess(pid: number, graceMs: number): Promise<void> {
  const expected = await commandLineOf(pid);
  if (expected === undefined) return;
  signal(pid, "SIGTERM");
  signal(pid, "SIGCONT");
  const killAt = performance.now() + graceMs;
  for (let killed = false; (await commandLineOf(pid)) === expected;) {
    if (!killed && performance.now() > killAt) killed = signal(pid, "SIGKILL");
    await sleep(20);
  }
}
