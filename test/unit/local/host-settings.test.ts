import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueServiceOf, resolveConnection } from "../../../local/host/connections.ts";
import { parseHostJson, type HostConfiguration } from "../../../local/host/host-json.ts";
import { loadLocalSettings, Settings } from "../../../local/host/settings.ts";
import { parseTimeSpan } from "../../../local/host/time-span.ts";

describe("Settings", () => {
  test("are found whatever the case, and with __ for :", () => {
    const settings = new Settings({ My__Nested__Name: "value", EMPTY: "" });
    expect(settings.get("my:nested:NAME")).toBe("value");
    expect(settings.get("MY__NESTED__NAME")).toBe("value");
    expect(settings.get("EMPTY")).toBeUndefined();
    expect(settings.asEnvironment()).toEqual({ My__Nested__Name: "value", EMPTY: "" });
  });

  test("replace %NAME% in a binding, and a missing one is an error that names it", () => {
    const settings = new Settings({ QUEUE: "work", ENV: "test", EMPTY: "" });
    const resolve = (text: string): string => settings.resolveNames(text, "The function f: queueName");
    expect(resolve("%QUEUE%-%env%-1")).toBe("work-test-1");
    expect(resolve("plain")).toBe("plain");
    expect(() => resolve("%NONE%")).toThrow('The function f: queueName is "%NONE%" and the setting "NONE" is missing');
    expect(() => resolve("%EMPTY%")).toThrow(/missing or empty/);
    expect(() => resolve("50%")).toThrow(/no closing "%"/);
  });

  test("come from the Values of a local.settings.json, which must hold texts and no secrets in cipher", async () => {
    const folder = await mkdtemp(join(tmpdir(), "farside-settings-"));
    const path = join(folder, "local.settings.json");
    const load = async (content: unknown): Promise<unknown> => {
      await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
      return loadLocalSettings(path).catch((error: unknown) => (error as Error).message);
    };
    expect(await load({ IsEncrypted: false, Values: { A: "1", B: 2, C: true }, Host: { CORS: "*" } })).toEqual({
      A: "1",
      B: "2",
      C: "true",
    });
    expect(await load({})).toEqual({});
    expect(await load({ Values: { A: {} } })).toMatch(/local\.settings\.json is not valid/);
    expect(await load({ IsEncrypted: true, Values: {} })).toMatch(/is encrypted/);
    expect(await load("{")).toMatch(/cannot be read as JSON/);
    await rm(folder, { recursive: true });
    expect(await loadLocalSettings(path).catch((error: unknown) => (error as Error).message)).toMatch(/ENOENT/);
  });
});

describe("A storage connection", () => {
  const resolve = (values: Record<string, string>, name = "Work"): unknown =>
    resolveConnection(new Settings(values), name, "The function f");

  test("is looked up as AzureWebJobsX, then X, each first under ConnectionStrings", () => {
    const all = {
      "ConnectionStrings:AzureWebJobsWork": "1",
      AzureWebJobsWork: "2",
      ConnectionStrings__Work: "3",
      Work: "4",
    };
    const found: string[] = [];
    const left: Record<string, string> = { ...all };
    for (const name of Object.keys(all)) {
      found.push((resolve(left) as { value: string }).value);
      delete left[name];
    }
    expect(found).toEqual(["1", "2", "3", "4"]);
    expect(() => resolve(left)).toThrow(/The function f needs the storage connection Work/);
  });

  test("without a name is the host's own", () => {
    expect(resolve({ AzureWebJobsStorage: "own" }, "")).toEqual({ kind: "connection-string", value: "own" });
  });

  test("is made of an address and an identity where there is no connection string, which would win", () => {
    expect(resolve({ Work__accountName: "acct" })).toEqual({
      kind: "identity",
      queueUri: "https://acct.queue.core.windows.net",
      blobUri: "https://acct.blob.core.windows.net",
      identity: { kind: "default" },
    });
    expect(
      resolve({ Work__queueServiceUri: "https://q", Work__credential: "managedidentity", Work__clientId: "id" }),
    ).toEqual({
      kind: "identity",
      queueUri: "https://q",
      blobUri: undefined,
      identity: { kind: "managed", clientId: "id" },
    });
    expect(resolve({ Work__serviceUri: "https://s" })).toMatchObject({ queueUri: "https://s", blobUri: "https://s" });
    expect(resolve({ Work: "string", Work__accountName: "acct" })).toMatchObject({ kind: "connection-string" });
  });

  test("that is no connection string is refused without quoting it, since it may hold a key", async () => {
    const secret = "AccountName=a;AccountKey=c2VjcmV0;;;Endpoint";
    const error = await queueServiceOf({ kind: "connection-string", value: secret }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "bad-configuration" });
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("c2VjcmV0");
  });
});

describe("host.json", () => {
  const parse = (content: unknown, values: Record<string, string> = {}, development = true): HostConfiguration =>
    parseHostJson(typeof content === "string" ? content : JSON.stringify(content), {
      settings: new Settings(values),
      development,
      processors: 2,
    });

  test("has the real host's defaults", () => {
    expect(parse({ version: "2.0" })).toEqual({
      functionTimeoutMs: 30 * 60_000,
      routePrefix: "api",
      queues: {
        batchSize: 16,
        newBatchThreshold: 16,
        visibilityTimeoutMs: 0,
        maxDequeueCount: 5,
        maxPollingIntervalMs: 2000,
        messageEncoding: "base64",
      },
    });
    expect(parse({ version: "2.0" }, {}, false).queues.maxPollingIntervalMs).toBe(60_000);
  });

  test("is read where it says something, and its other sections are let be", () => {
    const configuration = parse({
      version: "2.0",
      functionTimeout: "00:10:00",
      logging: { logLevel: { default: "Information" } },
      extensionBundle: { id: "x" },
      extensions: {
        http: { routePrefix: "/" },
        blobs: { maxDegreeOfParallelism: 4 },
        queues: { batchSize: 4, newBatchThreshold: 0, visibilityTimeout: "00:00:30", messageEncoding: "None" },
      },
    });
    expect(configuration).toMatchObject({ functionTimeoutMs: 600_000, routePrefix: "" });
    expect(configuration.queues).toMatchObject({ batchSize: 4, newBatchThreshold: 0, visibilityTimeoutMs: 30_000 });
    expect(configuration.queues.messageEncoding).toBe("none");
    expect(parse({ version: "2.0", functionTimeout: "-1" }).functionTimeoutMs).toBeUndefined();
  });

  test("is overridden by settings, also in what it does not say", () => {
    const configuration = parse(
      { version: "2.0", extensions: { queues: { batchSize: 4 } } },
      {
        AzureFunctionsJobHost__extensions__queues__batchSize: "8",
        AzureFunctionsJobHost__extensions__queues__maxDequeueCount: "3",
        AzureFunctionsJobHost__functionTimeout: "00:01:00",
        AzureFunctionsJobHost__logging__logLevel__default: "Debug",
      },
    );
    expect(configuration.queues).toMatchObject({ batchSize: 8, maxDequeueCount: 3, newBatchThreshold: 8 });
    expect(configuration.functionTimeoutMs).toBe(60_000);
  });

  test.each([
    ["{", /no JSON/],
    [{}, /must be "2\.0"/],
    [{ version: "2.0", extensions: { queues: { batchSize: 33 } } }, /extensions\.queues\.batchSize/],
    [{ version: "2.0", extensions: { queues: { batchsize: 3 } } }, /"batchsize"/],
    [{ version: "2.0", extensions: { queues: { visibilityTimeout: "30" } } }, /visibilityTimeout is "30"/],
    [{ version: "2.0", extensions: { queues: { maxPollingInterval: "00:00:00" } } }, /the least is/],
    [{ version: "2.0", extensions: { queues: { messageEncoding: "utf8" } } }, /messageEncoding/],
    [{ version: "2.0", functionTimeout: "10 minutes" }, /functionTimeout is "10 minutes", which is no time span/],
    [{ version: "2.0", functionTimeout: "00:00:00" }, /must not be 0/],
  ])("is refused with the reason: %j", (content, problem) => {
    expect(() => parse(content)).toThrow(problem);
  });

  test("has time spans of days to fractions of a second", () => {
    const spans = ["00:00:30", "1.02:03:04.5", "00:10", "00:00:00.1000000"].map((text) => parseTimeSpan(text, "x"));
    expect(spans).toEqual([30_000, 93_784_500, 600_000, 100]);
    for (const text of ["24:00:00", "00:60:00", "", "5", "-00:01:00"]) {
      expect(() => parseTimeSpan(text, "x")).toThrow(/no time span/);
    }
  });
});
