/** The app on memory adapters, and its HTTP functions called as the host calls them: route, key checks aside, and all. */
import { HttpRequest, InvocationContext, type HttpResponseInit } from "@azure/functions";
import { endpoints } from "../../functions/register.ts";
import { cronCalendar } from "../../shared/adapters/local/cron-calendar.ts";
import { MemoryCatalog } from "../../shared/adapters/memory/memory-catalog.ts";
import { MemoryTaskQueue } from "../../shared/adapters/memory/memory-task-queue.ts";
import { MemoryVaultStore } from "../../shared/adapters/memory/memory-vault-store.ts";
import type { App } from "../../shared/compose/app.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import { farsideVersion } from "../../shared/config/version.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import type { ProtectedVm } from "../../shared/core/vm.ts";
import type { Context } from "../../shared/operations/context.ts";
import { createTransfer } from "../../shared/operations/transfer.ts";
import { initVault } from "../../shared/operations/vault/init-vault.ts";
import type { DiskSource, VmInspection } from "../../shared/ports/disk-source.ts";
import type { MachineTarget } from "../../shared/ports/machine-target.ts";
import type { RunTarget } from "../../shared/ports/run-target.ts";
import type { GuestAgent } from "../../shared/ports/guest-agent.ts";
import { requireSource } from "../../shared/core/vm.ts";

export interface TestApp {
  readonly app: App;
  readonly context: Context;
  readonly catalog: MemoryCatalog;
  readonly tasks: MemoryTaskQueue;
  /** The page blobs that are there, by URL. */
  readonly disks: Map<string, { readonly sizeBytes: number; readonly kind?: "page-blob" | "block-blob" }>;
  readonly request: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<TestAnswer>;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export const accountUrl = "https://source.blob.core.windows.net";

export function createTestApp(): TestApp {
  const clock = systemClock();
  const random = systemRandom();
  const catalog = new MemoryCatalog();
  const tasks = new MemoryTaskQueue(clock);
  const disks: TestApp["disks"] = new Map();
  const store = new MemoryVaultStore(() => clock.now());
  const context: Context = {
    clock,
    random,
    log: { log: () => undefined },
    calendar: cronCalendar,
    catalog,
    tasks,
    source: () => sourceOf(disks),
    guest: missing("guest") as GuestAgent,
    target: missing("target") as RunTarget,
    machines: missing("machines") as MachineTarget,
    reverter: () => undefined,
    vault: (signal) => initVault({ store, clock, random, encryption: { kind: "none" } }, signal),
    limits: { windowBytes: 1 << 20, stepBudgetMs: 10_000, windowsAhead: 2, chunksAtOnce: 2, sampleChunks: 1 },
    transfer: createTransfer(2),
    tool: { name: "farside", version: farsideVersion },
  };
  const app: App = {
    context: () => Promise.resolve(context),
    stopping: new AbortController().signal,
    version: farsideVersion,
  };
  return { app, context, catalog, tasks, disks, request: (...args) => callEndpoint(app, ...args) };
}

/** Finds the function by method and path, as the host's router does, and calls its handler. */
export async function callEndpoint(
  app: App,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> {
  const url = new URL(path, "http://localhost:7071");
  for (const { route, handler } of endpoints) {
    const params = match(route.path, url.pathname.replace(/^\/api\//, ""));
    if (route.method !== method || params === undefined) continue;
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const request = new HttpRequest({
      method,
      url: url.href,
      headers,
      params,
      query: Object.fromEntries(url.searchParams),
      ...(text === undefined ? {} : { body: { string: text } }),
    });
    const response = (await handler(app)(request, new InvocationContext())) as HttpResponseInit;
    const answered: unknown =
      response.jsonBody ?? (typeof response.body === "string" ? JSON.parse(response.body) : undefined);
    return {
      status: response.status ?? 200,
      headers: response.headers as Record<string, string>,
      // As it goes over the wire.
      body: answered === undefined ? undefined : JSON.parse(JSON.stringify(answered)),
    };
  }
  throw new Error(`No function answers ${method} ${path}.`);
}

function match(template: string, path: string): Record<string, string> | undefined {
  const [names, parts] = [template.split("/"), path.split("/")];
  if (names.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const part = parts[index] ?? "";
    if (name.startsWith("{")) params[name.slice(1, -1)] = decodeURIComponent(part);
    else if (name !== part) return undefined;
  }
  return params;
}

/** Looks at disks as the page-blob source does; copying is not for these tests. */
function sourceOf(disks: TestApp["disks"]): DiskSource {
  return {
    ...(missing("source") as DiskSource),
    listSnapshots: () => Promise.resolve([]),
    inspect: (vm) => Promise.resolve().then(() => inspect(vm, disks)),
  };
}

function inspect(vm: ProtectedVm, disks: TestApp["disks"]): VmInspection {
  return {
    powerState: "unknown",
    conditions: [],
    configuration: {},
    disks: requireSource(vm, "page-blob").disks.map(({ name, url, role }) => {
      if (!url.startsWith(`${accountUrl}/`)) {
        throw new FarsideError("bad-input", `There is no access configured to an account for ${url}.`);
      }
      const disk = disks.get(url);
      if (disk === undefined) throw new FarsideError("not-found", `There is no page blob ${url}.`);
      if (disk.kind === "block-blob") throw new FarsideError("bad-input", `${url} is no page blob.`);
      return { name, role, sizeBytes: disk.sizeBytes, logicalSectorSize: 512, identity: url };
    }),
  };
}

/** Fails loudly where a test touches what it did not say it would. */
function missing(what: string): object {
  return new Proxy(
    {},
    {
      get: (_target, name) => {
        throw new Error(`This test has no ${what}.${String(name)}.`);
      },
    },
  );
}
