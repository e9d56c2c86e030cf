import { describe, expect, test } from "vitest";
import { buildFunctionTable, type FunctionEntry } from "../../../local/host/function-table.ts";
import { isAllowed, isMasterKey, presentedKey } from "../../../local/host/keys.ts";
import { Settings } from "../../../local/host/settings.ts";
import type { Binding, Registration } from "../../../local/host/worker-protocol.ts";

const trigger = (name: string, binding: Omit<Binding, "direction" | "type"> & { type: string }): Registration => ({
  name,
  bindings: { t: { ...binding, direction: "in" } },
  hasRetryPolicy: false,
});

function table(registrations: readonly Registration[], values: Record<string, string> = {}): FunctionEntry[] {
  return buildFunctionTable(registrations, {
    settings: new Settings({ AzureWebJobsStorage: "storage", ...values }),
    routePrefix: "api",
    expectedFunctions: undefined,
    nowMs: Date.UTC(2026, 0),
  });
}

describe("The table of functions", () => {
  test("puts settings into bindings", () => {
    const [queue, timer] = table(
      [
        trigger("q", { type: "queueTrigger", queueName: "%PREFIX%-Work", connection: "%CONNECTION%" }),
        trigger("t", { type: "timerTrigger", schedule: "%SCHEDULE%" }),
      ],
      { PREFIX: "test", CONNECTION: "Other", Other: "other", SCHEDULE: "0 0 3 * * *" },
    );
    expect(queue).toMatchObject({
      kind: "queue",
      queueName: "test-work",
      connection: { kind: "connection-string", value: "other" },
      triggerName: "t",
    });
    expect(timer).toMatchObject({ kind: "timer", useMonitor: true, runOnStartup: false });
  });

  test("keeps a timer's status only where at least a minute is between its occurrences, and where it is wanted", () => {
    const useMonitor = (options: Record<string, unknown>): unknown => {
      const [entry] = table([trigger("t", { type: "timerTrigger", ...options })]);
      return entry?.kind === "timer" && entry.useMonitor;
    };
    expect(useMonitor({ schedule: "0 * * * * *" })).toBe(true);
    expect(useMonitor({ schedule: "*/30 * * * * *" })).toBe(false);
    expect(useMonitor({ schedule: "0,10 0 * * * *" })).toBe(false);
    expect(useMonitor({ schedule: "0 * * * * *", useMonitor: false })).toBe(false);
  });

  test("gives an HTTP function its name as its route, and GET and POST", () => {
    const [entry] = table([trigger("status", { type: "httpTrigger", authLevel: "Function" })]);
    expect(entry).toMatchObject({ methods: ["GET", "POST"], authLevel: "function", route: { text: "api/status" } });
  });

  test("marks what settings turn off, which is no error even where another function has its route", () => {
    const [entry] = table([trigger("one", { type: "httpTrigger" })], { "AzureWebJobs.ONE.Disabled": "1" });
    expect(entry?.disabled).toBe(true);
    expect(table([trigger("one", { type: "httpTrigger" })], { "AzureWebJobs.one.Disabled": "false" })).toMatchObject([
      { disabled: false },
    ]);
  });

  test.each<[string, Registration, RegExp]>([
    ["no trigger", { name: "f", bindings: {}, hasRetryPolicy: false }, /has no trigger/],
    ["another trigger", trigger("f", { type: "cosmosDBTrigger" }), /trigger of type cosmosDBTrigger/],
    ["a bad name", trigger("1f", { type: "httpTrigger" }), /name that Azure refuses/],
    ["a bad queue", trigger("f", { type: "queueTrigger", queueName: "a--b" }), /queue name "a--b"/],
    ["a reserved route", trigger("f", { type: "httpTrigger", route: "/Admin/x" }), /are the host's/],
    ["a bad level", trigger("f", { type: "httpTrigger", authLevel: "user" }), /authLevel "user"/],
    [
      "a retry policy",
      { ...trigger("f", { type: "timerTrigger", schedule: "* * * * *" }), hasRetryPolicy: true },
      /retry policy/,
    ],
    [
      "another output",
      {
        name: "f",
        bindings: { t: { type: "httpTrigger", direction: "in" }, o: { type: "table", direction: "out" } },
        hasRetryPolicy: false,
      },
      /out binding o of type table/,
    ],
  ])("refuses %s and says why", (_, registration, problem) => {
    expect(() => table([registration])).toThrow(problem);
  });
});

describe("Keys", () => {
  const keys = { master: "master", host: "host", functions: { Alpha: "alpha" } };

  test("come in the header before the query", () => {
    const query = new URLSearchParams("code=fromquery");
    expect(presentedKey({ "x-functions-key": "fromheader" }, query)).toBe("fromheader");
    expect(presentedKey({}, query)).toBe("fromquery");
    expect(presentedKey({}, new URLSearchParams())).toBeUndefined();
  });

  test("open a function of level function: its own, the host's and the master key; of level admin: the master key", () => {
    const opens = (name: string, authLevel: "function" | "admin" | "anonymous"): string[] =>
      ["master", "host", "alpha", "", "other"].filter((key) => isAllowed(keys, { name, authLevel }, key));
    expect(opens("alpha", "function")).toEqual(["master", "host", "alpha"]);
    expect(opens("beta", "function")).toEqual(["master", "host"]);
    expect(opens("alpha", "admin")).toEqual(["master"]);
    expect(isAllowed(keys, { name: "x", authLevel: "anonymous" }, undefined)).toBe(true);
    expect(isAllowed(keys, { name: "x", authLevel: "function" }, undefined)).toBe(false);
    expect(isMasterKey({ ...keys, master: "" }, ""), "an empty key opens nothing").toBe(false);
  });
});
