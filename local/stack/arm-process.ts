/**
 * The local ARM as a process of its own: options come by IPC from its parent, its address goes back. It ends, having kept what it had, at
 * SIGTERM and when its parent is gone, however that went.
 */
import { once } from "node:events";
import { startArmServer } from "../arm/arm-server.ts";
import type { ArmProcessAnswer, ArmProcessOptions } from "./start-arm.ts";

/** Long enough to be seen, milliseconds; on the platform these take seconds to minutes. All others are done at once. */
const takesMs: Readonly<Record<string, number>> = {
  "restorePoints/write": 2000,
  "snapshots/write": 1000,
  "virtualMachines/deallocate": 1000,
  "virtualMachines/start": 1000,
};

const [options] = (await once(process, "message")) as [ArmProcessOptions];
const ended = Promise.race([once(process, "disconnect"), once(process, "SIGTERM")]);
try {
  const server = await startArmServer({ ...options, now: Date.now, takes: (name) => takesMs[name] ?? 0 });
  answer({ url: server.url });
  await ended;
  await server.stop();
  process.exit(0);
} catch (error) {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  answer({ problem: error instanceof Error ? error.message : String(error), ...(code === undefined ? {} : { code }) });
  process.exitCode = 1;
  if (process.connected) process.disconnect();
}

function answer(message: ArmProcessAnswer): void {
  if (process.connected) process.send?.(message);
}
