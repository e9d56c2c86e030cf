/** `farside up` as a process, for tests that stop it, kill it and start it again. */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";

const entry = join(import.meta.dirname, "../../cli/main.ts");

export interface Up {
  readonly child: ChildProcess;
  /** All of standard output so far. */
  readonly out: () => string;
  readonly err: () => string;
  readonly exited: Promise<number>;
}

/** Returns when it says that everything runs, or has ended. */
export async function startUp(
  cwd: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Up> {
  const child = spawn(process.execPath, [entry, "up", ...args], {
    cwd,
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  const exited = new Promise<number>((done) =>
    child.once("close", (code, signal) => done(code ?? (signal === "SIGKILL" ? 137 : 1))),
  );
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  await Promise.race([
    exited,
    new Promise<void>((ready) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        out += text;
        if (out.includes("Ctrl-C stops everything.")) ready();
      });
    }),
  ]);
  return { child, out: () => out, err: () => err, exited };
}
