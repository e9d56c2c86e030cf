/** Starts the guest as a process of its own and stops it again. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { StripeGuestOptions } from "./guest.ts";

export interface GuestProcess {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startGuestProcess(options: StripeGuestOptions): Promise<GuestProcess> {
  const source = fileURLToPath(new URL("guest-process.ts", import.meta.url));
  const entry = existsSync(source) ? source : fileURLToPath(new URL("guest-process.js", import.meta.url));
  const child = fork(entry, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  child.send(options);
  const exited = once(child, "exit");
  const answer = await Promise.race([once(child, "message"), exited.then(() => undefined)]);
  const url = (answer?.[0] as { url?: string } | undefined)?.url;
  if (url === undefined) throw new Error("The demo's guest could not be started; its message stands above.");
  return {
    url,
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
