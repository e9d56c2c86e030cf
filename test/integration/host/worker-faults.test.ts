import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandLineOf } from "../../../local/azurite/running-process.ts";
import type { HostOptions } from "../../../local/host/host-options.ts";
import { base64, depth, eventually, HostBench } from "../../support/host/local-app.ts";

let bench: HostBench;

beforeAll(async () => {
  bench = await HostBench.start();
});
afterAll(() => bench.stop());

async function filledQueue(name: string, ...messages: string[]): Promise<ReturnType<HostBench["queue"]>> {
  const queue = bench.queue(name);
  await queue.create();
  for (const message of messages) await queue.sendMessage(base64(message));
  return queue;
}

describe("The worker process", () => {
  test("is replaced when it is killed, and the message that ran in it is delivered again", async () => {
    const queue = await filledQueue("killed", "task");
    const app = await bench.app({
      source: `app.storageQueue("killed", { queueName: "killed", connection: "", handler: async (item, context) => {
        note(context.triggerMetadata.dequeueCount);
        if (context.triggerMetadata.dequeueCount === 1) await sleep(60_000);
      } });`,
    });
    const host = await app.host();
    await eventually("the first delivery", async () => (await app.noted()).length === 1);
    const before = host.workerPid;
    await host.killWorker();
    await eventually("an empty queue", async () => (await depth(queue)) === 0);
    expect(await app.noted()).toEqual([1, 2]);
    expect(host.workerPid).not.toBe(before);
    expect(app.logged(/ended while the function ran: SIGKILL/)).toHaveLength(1);
  });

  test("ends by one promise that is rejected unawaited, as in Azure, and takes its neighbours with it", async () => {
    await filledQueue("careless", "neighbour", "careless");
    const app = await bench.app({
      source: `app.storageQueue("careless", { queueName: "careless", connection: "", handler: async (item, context) => {
        note([item, context.triggerMetadata.dequeueCount]);
        if (context.triggerMetadata.dequeueCount > 1) return;
        if (item === "careless") { await sleep(300); Promise.reject(new Error("nobody waits for me")); }
        await sleep(60_000);
      } });`,
    });
    await app.host();
    await eventually("both again", async () => (await app.noted()).length === 4);
    expect(await app.noted()).toEqual(
      expect.arrayContaining([
        ["neighbour", 2],
        ["careless", 2],
      ]),
    );
    expect(app.logged(/Worker uncaught exception.*nobody waits for me/)).toHaveLength(1);
    expect(app.logged(/ended while the function ran: exit code 1/)).toHaveLength(2);
  });

  test("is ended when a function runs longer than functionTimeout, even one that blocks it, and a new one takes over", async () => {
    const queue = await filledQueue("stuck", "stuck");
    const app = await bench.app({
      hostJson: { functionTimeout: "00:00:01" },
      source: `
        app.hook.appTerminate(() => note("terminate"));
        app.storageQueue("stuck", { queueName: "stuck", connection: "", handler: (item, context) => {
          note(context.triggerMetadata.dequeueCount);
          if (context.triggerMetadata.dequeueCount === 1) for (;;);
        } });`,
    });
    const host = await app.host({ terminateGraceMs: 500 });
    const before = host.workerPid ?? 0;
    await eventually("an empty queue", async () => (await app.noted()).includes(2) && (await depth(queue)) === 0);
    expect(app.logged(/ran longer than the function timeout of 1000 ms/).length).toBeGreaterThan(0);
    expect(await app.noted(), "a process that is blocked runs no hooks").toEqual([1, 2]);
    await eventually("the blocked process has gone", async () => (await commandLineOf(before)) === undefined);
  });

  test("that is ended for one function's timeout loses the others, which fail at their own timeout and not before", async () => {
    await filledQueue("neighbours", "first");
    const app = await bench.app({
      source: `app.storageQueue("neighbours", { queueName: "neighbours", connection: "", handler: async (item, context) => {
        note([item, context.triggerMetadata.dequeueCount]);
        if (context.triggerMetadata.dequeueCount === 1) await sleep(60_000);
      } });`,
    });
    await app.host({ functionTimeoutMs: 3000, terminateGraceMs: 200, queueVisibilityMs: 30_000 });
    await eventually("the first", async () => (await app.noted()).length === 1);
    await sleep(1500);
    await bench.queue("neighbours").sendMessage(base64("second"));
    await eventually("both again", async () => (await app.noted()).length === 4);
    const [, second, firstAgain, secondAgain] = await app.notes();
    expect([firstAgain?.value, secondAgain?.value]).toEqual([
      ["first", 2],
      ["second", 2],
    ]);
    expect((secondAgain?.at ?? 0) - (second?.at ?? 0), "its own timeout").toBeGreaterThanOrEqual(2900);
    expect(app.logged(/is ended\. Lost with it, until their own timeouts: 1 invocations/)).toHaveLength(1);
    expect(app.logged(/was ended before, for another function's timeout/)).toHaveLength(1);
  });

  test("that ends again and again is said loudly, and the app goes on", async () => {
    const app = await bench.app({
      source: `app.http("crash", { methods: ["POST"], authLevel: "anonymous", handler: () => process.exit(3) });
               app.http("fine", { authLevel: "anonymous", handler: () => ({ body: "fine" }) });`,
    });
    const host = await app.host();
    for (let count = 0; count < 3; count += 1) {
      const answer = await fetch(`${host.url}/api/crash`, { method: "POST" });
      expect([answer.status, await answer.text()]).toEqual([500, ""]);
    }
    expect(await (await fetch(`${host.url}/api/fine`)).text()).toBe("fine");
    const loud = app.log.filter(({ level }) => level === "critical");
    expect(loud.map(({ message }) => message)).toEqual([expect.stringContaining("3 times within 30 minutes")]);
  });

  test("finds only the app's settings in its environment, and what it prints is in the log", async () => {
    process.env["FARSIDE_TEST_SHELL_VARIABLE"] = "from the shell";
    const app = await bench.app({
      settings: { MY_SETTING: "from the settings" },
      source: `console.log("on standard output"); console.error("on standard error");
        app.http("env", { authLevel: "anonymous", handler: () => ({ jsonBody: process.env }) });`,
    });
    const host = await app.host();
    const environment = (await (await fetch(`${host.url}/api/env`)).json()) as Record<string, string>;
    delete process.env["FARSIDE_TEST_SHELL_VARIABLE"];
    expect(environment).toMatchObject({
      MY_SETTING: "from the settings",
      TZ: "UTC",
      WEBSITE_HOSTNAME: `127.0.0.1:${host.port}`,
      AZURE_FUNCTIONS_ENVIRONMENT: "Development",
    });
    expect(environment).not.toHaveProperty("FARSIDE_TEST_SHELL_VARIABLE");
    expect(app.logged(/^Worker\.Console: on standard output$/)).toMatchObject([{ level: "information" }]);
    expect(app.logged(/^Worker\.Console: on standard error$/)).toMatchObject([{ level: "error" }]);
  });
});

describe("A host that is killed", () => {
  test("takes its worker with it, and the next one gets the message when its invisible time is up", async () => {
    const queue = await filledQueue("orphaned", "task");
    const app = await bench.app({
      source: `app.storageQueue("orphaned", { queueName: "orphaned", connection: "", handler: async (item, context) => {
        note([context.triggerMetadata.dequeueCount, process.pid]);
        if (context.triggerMetadata.dequeueCount === 1) await sleep(60_000);
      } });`,
    });
    const program = fileURLToPath(new URL("../../support/host/host-owner.ts", import.meta.url));
    const owner = spawn(process.execPath, [program, app.folder, bench.storage], { stdio: "inherit" });
    await eventually("the first delivery", async () => (await app.noted()).length === 1);
    const [[, workerPid]] = (await app.noted()) as [[number, number]];
    owner.kill("SIGKILL");
    await eventually("the worker has gone", async () => (await commandLineOf(workerPid)) === undefined, 5000);
    await app.host();
    await eventually("an empty queue", async () => (await depth(queue)) === 0);
    const [first, second] = await app.notes();
    expect(second?.value).toEqual([2, expect.any(Number)]);
    // The owner's host holds messages for 4 s; renewed or not, they came back after that and not before.
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(3000);
  });
});

describe("Stopping the host", () => {
  test("waits for what runs, lets the appTerminate hooks run, and leaves no message and no process behind", async () => {
    const queue = await filledQueue("draining", "task");
    const app = await bench.app({
      source: `
        app.hook.appTerminate(async () => { await sleep(100); note("terminated"); });
        app.storageQueue("draining", { queueName: "draining", connection: "", handler: async () => { note("begin"); await sleep(1500); note("end"); } });`,
    });
    const host = await app.host();
    await eventually("the begin", async () => (await app.noted()).includes("begin"));
    const pid = host.workerPid ?? 0;
    await Promise.all([host.stop(), host.stop()]);
    expect(await app.noted()).toEqual(["begin", "end", "terminated"]);
    expect(await depth(queue)).toBe(0);
    expect(await commandLineOf(pid)).toBeUndefined();
    await expect(fetch(host.url)).rejects.toThrow(/fetch failed/);
  });

  test("ends what takes longer than the grace and gives its message back, so that the next host has it at once", async () => {
    await filledQueue("endless", "task");
    const app = await bench.app({
      queues: { visibilityTimeout: "00:00:00" },
      source: `app.storageQueue("endless", { queueName: "endless", connection: "", handler: async (item, context) => {
        note(context.triggerMetadata.dequeueCount);
        if (context.triggerMetadata.dequeueCount === 1) await sleep(600_000);
      } });`,
    });
    // Azure's own times: without giving it back the message would stay invisible for ten minutes.
    const host = await app.host({ queueVisibilityMs: 600_000, stopGraceMs: 300 });
    await eventually("the begin", async () => (await app.noted()).length === 1);
    await host.stop();
    await app.host({ queueVisibilityMs: 600_000 });
    await eventually("the second delivery", async () => (await app.noted()).length === 2, 5000);
    expect(await app.noted()).toEqual([1, 2]);
  });

  test("ends also when the storage hangs, and when it comes back nothing of the old host runs", async () => {
    const storm = await HostBench.start();
    const app = await storm.app({
      source: `app.timer("tick", { schedule: "* * * * * *", handler: () => note("tick") });
        app.storageQueue("hung", { queueName: "hung", connection: "", handler: () => note("message") });`,
    });
    const queue = storm.queue("hung");
    await queue.create();
    const host = await app.host({ settleGraceMs: 500 });
    await eventually("a tick", async () => (await app.noted()).length > 0);
    storm.azurite.freeze();
    const startedAt = performance.now();
    await host.stop();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(app.logged(/storage did not answer within 500 ms/)).toHaveLength(1);
    storm.azurite.thaw();
    const before = (await app.noted()).length;
    await queue.sendMessage(base64("late"));
    await sleep(2500);
    expect(await app.noted()).toHaveLength(before);
    await storm.stop();
  });

  test("ends also when an appTerminate hook never does", async () => {
    const app = await bench.app({
      source: `app.hook.appTerminate(() => sleep(600_000)); app.http("x", { handler: () => ({}) });`,
    });
    const host = await app.host({ terminateGraceMs: 300 });
    const startedAt = performance.now();
    await host.stop();
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });
});

describe("A start that cannot succeed", () => {
  const refusal = async (source: string, options: Partial<HostOptions> = {}): Promise<unknown> => {
    const app = await bench.app({ source });
    return app.host({}, options).catch((error: unknown) => error);
  };
  const saying = (message: RegExp): unknown =>
    expect.objectContaining({ code: "bad-configuration", message: expect.stringMatching(message) });
  const timer = `app.timer("tick", { schedule: "0 0 0 1 1 *", handler: () => {} });`;

  test("says why: the app throws, registers nothing, is not built, or lacks functions that were expected", async () => {
    expect(await refusal(`throw new Error("broken module");`)).toEqual(saying(/failed to load: broken module/));
    expect(await refusal(``)).toEqual(saying(/registers no functions/));
    const unexpected = await refusal(timer, { expectedFunctions: ["tock"] });
    expect(unexpected).toEqual(saying(/Missing: tock\. Not expected: tick\./));
    const app = await bench.app({ source: timer });
    await rm(`${app.folder}/dist/app.js`);
    await expect(app.host()).rejects.toThrow(/no file matches it: build the app first/);
  });

  test("says why: two functions on one route, a setting or connection that is missing, a binding it does not have", async () => {
    const http = (name: string, options: string): string => `app.http("${name}", { ${options}, handler: () => ({}) });`;
    const first = http("a", `route: "things/{id}", methods: ["GET", "PUT"]`);
    const second = http("b", `route: "THINGS/{name}", methods: ["PUT"]`);
    expect(await refusal(first + second)).toEqual(
      saying(/function b has the route .* conflicts with the route of a for PUT/),
    );
    const queue = (options: string): string => `app.storageQueue("q", { ${options}, handler: () => {} });`;
    expect(await refusal(queue(`queueName: "%NO_SUCH%", connection: ""`))).toEqual(
      saying(/function q: queueName is "%NO_SUCH%" and the setting "NO_SUCH" is missing/),
    );
    expect(await refusal(queue(`queueName: "work", connection: "Elsewhere"`))).toEqual(
      saying(/needs the storage connection Elsewhere/),
    );
    const blob = `app.storageBlob("b", { path: "x/{name}", connection: "", handler: () => {} });`;
    expect(await refusal(blob)).toEqual(saying(/trigger of type blobTrigger: this host has/));
    expect(await refusal(`app.setup({ enableHttpStream: true }); ${timer}`)).toEqual(saying(/enableHttpStream/));
  });

  test("leaves no process and no port behind", async () => {
    const app = await bench.app({ source: `console.log("pid=" + process.pid);` });
    await expect(app.host()).rejects.toThrow(/registers no functions/);
    const pid = Number(/pid=(\d+)/.exec(app.logged(/pid=/)[0]?.message ?? "")?.[1]);
    expect(pid).toBeGreaterThan(1);
    expect(await commandLineOf(pid)).toBeUndefined();
  });
});
