/** Restores to the platform by the command line: what it sends, what it refuses before it asks anybody, and what it shows. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Shell } from "../../../cli/shell.ts";
import type { RestoreRun } from "../../../shared/core/run.ts";
import { runView } from "../../../shared/wire/http/run.ts";
import { farside } from "../../support/cli/farside.ts";
import { sampleRestoreRuns } from "../../support/sample-rows.ts";

let server: Server;
let environment: Shell["environment"];
let bodies: unknown[] = [];
let answered: RestoreRun;

const samples = sampleRestoreRuns(1).filter((run) => run.machine !== undefined);

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      if (body !== "") bodies.push(JSON.parse(body));
      response.writeHead(202, { "content-type": "application/json" });
      response.end(JSON.stringify(runView(answered, [])));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  environment = { FARSIDE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, FARSIDE_KEY: "key" };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  bodies = [];
  const [first] = samples;
  if (first === undefined) throw new Error("There is no sample.");
  answered = first;
});

const group = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/dr";
const subnet = `${group}/providers/Microsoft.Network/virtualNetworks/net/subnets/default`;
const restore = (...flags: string[]) => farside(["restore", "web1", ...flags], { environment });

describe("farside restore", () => {
  test.each([
    [
      `--to-managed-disks ${group} --location northeurope`,
      { kind: "managed-disks", resourceGroup: group, location: "northeurope" },
    ],
    [
      `--to-managed-disks ${group} --location northeurope --sku Premium_LRS --zone none --encryption-set set --name-prefix back`,
      {
        kind: "managed-disks",
        resourceGroup: group,
        location: "northeurope",
        sku: "Premium_LRS",
        zone: "none",
        diskEncryptionSetId: "set",
        namePrefix: "back",
      },
    ],
    [`--to-vm twin --resource-group ${group}`, { kind: "managed-vm", name: "twin", resourceGroup: group }],
    [
      `--to-vm twin --resource-group ${group} --location northeurope --size Standard_D4s_v5 --subnet ${subnet} --nsg none --zone 2 --keep-addresses --leave-stopped`,
      {
        kind: "managed-vm",
        name: "twin",
        resourceGroup: group,
        location: "northeurope",
        size: "Standard_D4s_v5",
        subnetId: subnet,
        networkSecurityGroupId: "none",
        keepPrivateAddresses: true,
        leaveStopped: true,
        zone: "2",
      },
    ],
    ["--swap-disks", { kind: "swap-disks", mayStop: false }],
    ["--swap-disks --stop --name-prefix back", { kind: "swap-disks", mayStop: true, namePrefix: "back" }],
  ])("%s asks for that, and tells at once what will not be as it was", async (flags, target) => {
    const { exitCode, err, out } = await restore(...flags.split(" "), "--disk", "os");
    expect([exitCode, bodies]).toEqual([0, [{ target, restorePointId: "latest", disks: ["os"] }]]);
    expect(err).toContain("Note: An extension is not made again.");
    expect(out).toContain(answered.runId);
  });

  test.each([
    [
      "a group's bare name",
      ["--to-managed-disks", "dr", "--location", "x"],
      /in which subscription.*resourceGroups\/dr/,
    ],
    [
      "a group that is none",
      ["--to-vm", "t", "--resource-group", "/subscriptions/x"],
      /not the resource id of a resource group/,
    ],
    ["disks without a region", ["--to-managed-disks", group], /--location is missing/],
    ["a VM without a group", ["--to-vm", "twin"], /--resource-group is missing/],
    [
      "disks with the flag of a VM",
      ["--to-managed-disks", group, "--location", "x", "--size", "s"],
      /--size belongs to --to-vm/,
    ],
    [
      "a VM with the flag of an exchange",
      ["--to-vm", "t", "--resource-group", group, "--stop"],
      /--stop belongs to --swap-disks/,
    ],
    [
      "an exchange elsewhere",
      ["--swap-disks", "--location", "x"],
      /--location belongs to --to-managed-disks and --to-vm/,
    ],
    ["an exchange with another subnet", ["--swap-disks", "--subnet", subnet], /--subnet belongs to --to-vm/],
    ["a zone that is none", ["--to-managed-disks", group, "--location", "x", "--zone", "4"], /give 1, 2, 3 or none/],
    ["two targets", ["--swap-disks", "--to-vm", "t"], /give one of/],
    ["files in a region", ["--to-file", "d", "--location", "x"], /--location belongs to/],
    ["a revert that may stop", ["--revert", "--yes", "--stop"], /--stop belongs to --swap-disks/],
    ["a prefix of blobs", ["--to-container", "https://x/y", "--name-prefix", "p"], /--name-prefix belongs to/],
    ["an exchange that overwrites", ["--swap-disks", "--overwrite"], /--overwrite belongs to/],
    ["an exchange of a format", ["--swap-disks", "--format", "vhd"], /--format belongs to/],
    ["an exchange that is not asked about", ["--swap-disks", "--yes"], /--yes belongs to --revert/],
    [
      "a VM of damaged disks",
      ["--to-vm", "t", "--resource-group", group, "--allow-damaged"],
      /--allow-damaged belongs to/,
    ],
  ])("refuses %s with exit code 2, and asks nobody", async (_what, flags, message) => {
    const { exitCode, out, err } = await restore(...flags);
    expect([exitCode, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
    expect(bodies).toEqual([]);
  });
});

describe("farside run show", () => {
  test.each(samples.map((run) => [run.target.kind, run.state, run] as const))(
    "of a restore to %s that is %s shows where to, what it made and every note",
    async (kind, _state, run) => {
      answered = run;
      const { exitCode, out } = await farside(["run", "show", run.runId], { environment });
      expect(exitCode).toBe(0);
      const target = {
        "managed-disks": /managed disks in .*resourceGroups\/dr/,
        "managed-vm": /a new VM twin in/,
        "swap-disks": /in exchange/,
      };
      expect(out).toMatch(target[kind as keyof typeof target]);
      expect(out).toContain(run.machine?.made[0]?.id);
      expect(out).toContain("Note: An extension is not made again.");
      const { out: json } = await farside(["run", "show", run.runId, "--json"], { environment });
      expect(JSON.parse(json)).toMatchObject({
        target: run.target,
        made: run.machine?.made,
        notes: run.machine?.notes,
      });
    },
  );
});
