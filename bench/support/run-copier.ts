import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CopierOrder, CopierReport } from "./copier.ts";

/** Runs one copier process to its end. `begins` is called as each backup begins. */
export async function runCopier(
  order: CopierOrder,
  begins: (backup: number) => void = () => undefined,
): Promise<CopierReport> {
  const child = fork(fileURLToPath(new URL("copier.ts", import.meta.url)), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  let report: CopierReport | undefined;
  child.on("message", (message: { kind: "begins"; backup: number } | { kind: "report"; report: CopierReport }) => {
    if (message.kind === "begins") begins(message.backup);
    else report = message.report;
  });
  child.send(order);
  await once(child, "exit");
  if (report === undefined) throw new Error("The copier ended without a report; its message stands above.");
  return report;
}
