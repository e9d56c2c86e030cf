/** A local ARM that ends while a restore point is being made: what the backup makes of it, and what is left. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startArmServer, type ArmServer } from "../../../local/arm/arm-server.ts";
import { propertiesOf } from "../../../local/arm/resources.ts";
import { makeSampleVms, sampleVmIds } from "../../../local/arm/samples/sample-vms.ts";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import { parseVmResourceId } from "../../../shared/core/resource-id.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";

const never = new AbortController().signal;
const web = parseVmName("web");

let folder: string;
let storage: Azurite;
let server: ArmServer;
let pipeline: RealPipeline;
/** While a backup runs, the region's clock is the pipeline's, and a restore point takes a minute by it. */
let isReady = false;
let onPoll: () => void = () => undefined;
let restarts = Promise.resolve();

async function startServer(port: number): Promise<void> {
  server = await startArmServer({
    folder: join(folder, "arm"),
    port,
    now: () => (isReady ? pipeline.context.clock.now() : Date.now()),
    takes: (name) => (isReady && name === "restorePoints/write" ? 60_000 : 0),
    onRequest: (request) => {
      if (isReady && request.includes("/operations/")) onPoll();
    },
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-arm-restart-"));
  storage = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
  await startServer(0);
  await makeSampleVms(server.url, never);
  pipeline = await createRealPipeline({
    accounts: [],
    vaultConnection: storage.connectionString("vaultacct"),
    vaultContainer: "vault",
    armUrl: server.url,
  });
  isReady = true;
});
afterAll(async () => {
  await restarts;
  await server?.stop();
  await storage?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("The operation is forgotten, its attempt is given up, and the run succeeds with another; only its restore point is left", async () => {
  const { context } = pipeline;
  const policy = await addPolicy(context, "daily", { consistency: { wanted: "application", least: "filesystem" } });
  const resourceId = parseVmResourceId(sampleVmIds[0] ?? "");
  await protectVm(context, { name: web, policy, source: { kind: "managed", resourceId } }, never);

  let forgotten = 0;
  onPoll = () => {
    onPoll = () => undefined;
    forgotten += 1;
    const port = Number(new URL(server.url).port);
    restarts = server.stop().then(() => startServer(port));
  };
  const run = await pipeline.backup(web);
  expect(run).toMatchObject({ state: "succeeded", set: { consistency: { achieved: "filesystem" } } });
  expect(forgotten).toBe(1);
  const points = server.arm.resources.all().filter(({ type }) => type.endsWith("/restorePoints"));
  expect(points.map((one) => propertiesOf(one)["provisioningState"])).toEqual(["Succeeded"]);
});
