/** Runs one of the programs of this folder, until it is killed. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface ChildProgram {
  readonly api: { readonly url: string; readonly hostKey: string };
  readonly workerPid: number;
  /** SIGKILL of this process alone; resolves when it has ended. */
  kill(): Promise<void>;
}

/** Returns when the program has said where its API is. */
export async function startProgram(name: "host-program" | "stack-program", argument: string): Promise<ChildProgram> {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [file, argument], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    void ended.then(() => reject(new Error(`${name} ended before it was ready.`)));
  });
  const { url, hostKey, workerPid } = JSON.parse(line) as { url: string; hostKey: string; workerPid: number };
  return {
    api: { url, hostKey },
    workerPid,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
