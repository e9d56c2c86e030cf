/**
 * `node infra/live-check/main.ts --vm RESOURCE-ID --yes`: tries on a live subscription what the documentation leaves open, prints what it found
 * and removes what it made. With FARSIDE_LOCAL_ARM it asks a local ARM instead. docs/live-check.md.
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { armOpener } from "../../shared/compose/arm.ts";
import { createVaultStore } from "../../shared/compose/vault.ts";
import { systemClock } from "../../shared/compose/system.ts";
import { readArm } from "../../shared/config/arm.ts";
import { Problems } from "../../shared/config/problems.ts";
import { readVault } from "../../shared/config/storage.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmResourceId } from "../../shared/core/resource-id.ts";
import { checks } from "./checks.ts";
import { liveCheck } from "./live-check.ts";
import { report } from "./report.ts";
import { Stage } from "./stage.ts";

const usage = `node infra/live-check/main.ts --vm RESOURCE-ID --yes [--vault URL] [--only NAME …] [--keep] [--json]
node infra/live-check/main.ts --list

  --vm    a running Linux VM with a free LUN, made for this (docs/live-check.md): its disks are snapshotted, and a disk is attached to it
  --vault a container's URL, which the same identity (or FARSIDE_VAULT__clientId) reaches with the vault writer's two roles
  --only  these questions alone; --list prints all
  --keep  do not remove what was made
`;

/** By the list prices of 2025, which the platform may have changed. */
const costs = `This makes, and removes in the end, in the VM's resource group:
  a data disk of 1 GiB (Standard SSD) at the VM, up to five more of 20 MiB to 1 GiB (one of them Premium SSD v2),
  eight incremental snapshots, and three restore points of the whole VM, of which an hour allows no more.
Removed within an hour they cost less than 0.10 USD; each day that they are kept, about 0.30 USD and the used size of the VM's disks.
The VM itself is yours, and costs what it costs.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(args);
  } catch (error) {
    const isOurs = error instanceof FarsideError || (error instanceof TypeError && "code" in error);
    process.stderr.write(isOurs ? `${error.message}\n` : `${error instanceof Error ? (error.stack ?? "") : ""}\n`);
    return isOurs ? 2 : 1;
  }
}

async function run(args: readonly string[]): Promise<number> {
  const options = {
    vm: { type: "string" },
    only: { type: "string", multiple: true },
    vault: { type: "string" },
    yes: { type: "boolean" },
    keep: { type: "boolean" },
    json: { type: "boolean" },
    list: { type: "boolean" },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  const { only = [], yes = false, keep = false, json = false, list = false } = values;
  if (list) {
    for (const { name, question } of checks) process.stdout.write(`${name}: ${question}\n`);
    return 0;
  }
  if (values.vm === undefined) {
    process.stderr.write(usage);
    return 2;
  }
  const unknown = only.filter((name) => checks.every((check) => check.name !== name));
  if (unknown.length > 0)
    throw new FarsideError("bad-input", `There is no question ${unknown.join(", ")}: --list prints all.`);
  const vmId = parseVmResourceId(values.vm);
  if (!yes) {
    process.stderr.write(`${costs}Give --yes to go on.\n`);
    return 2;
  }
  const problems = new Problems();
  const access = readArm(process.env, problems);
  const container =
    values.vault === undefined ? undefined : readVault({ ...process.env, FARSIDE_VAULT: values.vault }, problems);
  problems.throwIfAny();
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const prefix = `farside-check-${randomBytes(4).toString("hex")}`;
  const arm = await armOpener(access, systemClock())();
  const vault = container === undefined ? {} : { vault: await createVaultStore(container) };
  const stage = new Stage({ arm, vmId, prefix, tell, ...vault });
  const asked = checks.filter(({ name }) => only.length === 0 || only.includes(name));
  const signal = interrupted(tell);
  const { findings, left } = await liveCheck(stage, asked, { keep, tell }, signal);
  process.stdout.write(json ? `${JSON.stringify(findings, undefined, 2)}\n` : report(findings));
  for (const one of left) tell(`left: ${one}`);
  if (signal.aborted) return 130;
  return findings.some(({ verdict }) => verdict === "differs") || (left.length > 0 && !keep) ? 1 : 0;
}

/** The first Ctrl-C ends the questions, and what was made is removed; the second ends the process. */
function interrupted(tell: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => {
    tell("interrupted: removing what was made; Ctrl-C again leaves it");
    controller.abort(new Error("interrupted"));
  });
  return controller.signal;
}
