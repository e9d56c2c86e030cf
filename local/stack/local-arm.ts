/** The local ARM as a part of the stack: where it listens, which VMs it begins with, and what the other verbs are told of it. */
import { join } from "node:path";
import { z } from "zod";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import { makeSampleVms, sampleGroup, sampleSubscription, sampleVmIds } from "../arm/samples/sample-vms.ts";
import { startArm, type ArmProcess } from "./start-arm.ts";

export const localArmSchema = z.object({
  /** `http://127.0.0.1:PORT`. */
  url: z.string(),
  subscriptionId: z.string(),
  resourceGroup: z.string(),
  /** ARM ids of the VMs that it began with. */
  sampleVms: z.array(z.string()),
});
export type LocalArmFile = z.output<typeof localArmSchema>;

export interface LocalArm extends ArmProcess {
  /** What the stack's file says of it. */
  readonly file: LocalArmFile;
}

export interface LocalArmOptions {
  readonly dataFolder: string;
  /** Of the API, where one was asked for: the local ARM is on the next one. */
  readonly apiPort: number | undefined;
  /** Of an earlier start. */
  readonly before: LocalArmFile | undefined;
  readonly samples: boolean;
}

export async function startLocalArm(options: LocalArmOptions, signal: AbortSignal): Promise<LocalArm> {
  const { before, samples } = options;
  const process = await startOnPort(options);
  try {
    const isNew = samples && (before === undefined || before.sampleVms.length === 0);
    if (isNew) await makeSampleVms(process.url, signal);
    const file = {
      url: process.url,
      subscriptionId: sampleSubscription,
      resourceGroup: sampleGroup,
      sampleVms: [...(isNew ? sampleVmIds : (before?.sampleVms ?? []))],
    };
    return { ...process, file };
  } catch (error) {
    await process.stop();
    throw error;
  }
}

/** The port it had before may be taken by now: only one that was asked for is insisted on. */
async function startOnPort({ dataFolder, apiPort, before }: LocalArmOptions): Promise<ArmProcess> {
  const folder = join(dataFolder, "arm");
  if (apiPort !== undefined) return startArm({ folder, port: nextPort(apiPort) });
  const remembered = before === undefined ? 0 : Number(new URL(before.url).port);
  try {
    return await startArm({ folder, port: remembered });
  } catch (error) {
    if (!hasCode(error, "unavailable") || error.details["isPortTaken"] !== true) throw error;
    return startArm({ folder, port: 0 });
  }
}

function nextPort(port: number): number {
  if (port < 65_535) return port + 1;
  throw new FarsideError("bad-input", "The local ARM takes the port after --port: give one below 65535.");
}
