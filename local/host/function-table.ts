/**
 * The app's functions as this host runs them: registrations checked, settings put in, one kind each.
 *
 * What the host cannot run as Azure would is an error at start, never a function that quietly does not run.
 */
import { FarsideError } from "../../shared/core/errors.ts";
import { resolveConnection, type StorageConnection } from "./connections.ts";
import { parseNcrontab, type Ncrontab } from "./ncrontab.ts";
import { parseRouteTemplate, type RouteTemplate } from "./route-template.ts";
import type { Settings } from "./settings.ts";
import type { Binding, Registration } from "./worker-protocol.ts";

export type FunctionEntry = QueueFunction | TimerFunction | HttpFunction;

interface CommonEntry {
  readonly name: string;
  readonly disabled: boolean;
  /** The name of the trigger's binding, under which its data is handed over. */
  readonly triggerName: string;
  readonly outputs: readonly QueueOutput[];
}

export interface QueueFunction extends CommonEntry {
  readonly kind: "queue";
  readonly queueName: string;
  readonly connection: StorageConnection;
}

export interface TimerFunction extends CommonEntry {
  readonly kind: "timer";
  readonly schedule: Ncrontab;
  readonly runOnStartup: boolean;
  /** Whether the schedule's status is kept, which is what makes a missed run be caught up. */
  readonly useMonitor: boolean;
}

export interface HttpFunction extends CommonEntry {
  readonly kind: "http";
  /** With the route prefix. */
  readonly route: RouteTemplate;
  /** Upper case. */
  readonly methods: readonly string[];
  readonly authLevel: "anonymous" | "function" | "admin";
}

export interface QueueOutput {
  /** The binding's name; `$return` for the return value. */
  readonly name: string;
  readonly queueName: string;
  readonly connection: StorageConnection;
}

export interface TableContext {
  readonly settings: Settings;
  readonly routePrefix: string;
  /** Names that must be exactly the app's functions; undefined: any. */
  readonly expectedFunctions: readonly string[] | undefined;
  readonly nowMs: number;
}

/** @throws FarsideError `bad-configuration` for the first thing that does not fit. */
export function buildFunctionTable(registrations: readonly Registration[], context: TableContext): FunctionEntry[] {
  checkExpected(
    registrations.map(({ name }) => name),
    context.expectedFunctions,
  );
  const entries = registrations.map((registration) => entryOf(registration, context));
  checkRoutes(entries.filter((entry) => entry.kind === "http"));
  return entries;
}

function checkExpected(names: readonly string[], expected: readonly string[] | undefined): void {
  if (names.length === 0) throw wrong("The app registers no functions: check what its main file imports.");
  if (expected === undefined) return;
  const missing = expected.filter((name) => !names.includes(name));
  const surplus = names.filter((name) => !expected.includes(name));
  if (missing.length === 0 && surplus.length === 0) return;
  throw wrong(
    `The app does not have the functions that were expected. Missing: ${missing.join(", ") || "none"}. Not expected: ${surplus.join(", ") || "none"}.`,
  );
}

function entryOf(registration: Registration, context: TableContext): FunctionEntry {
  const { name } = registration;
  const { settings } = context;
  const where = `The function ${name}`;
  if (!/^[A-Za-z][A-Za-z0-9_-]{0,126}$/.test(name)) {
    throw wrong(`${where} has a name that Azure refuses: use letters, digits, "_" and "-", beginning with a letter.`);
  }
  if (registration.hasRetryPolicy) {
    throw wrong(`${where} has a retry policy, which this host does not have (Azure does not support it for queues).`);
  }
  const bindings = Object.entries(registration.bindings);
  const trigger = bindings.find(([, binding]) => /trigger$/i.test(binding.type));
  if (trigger === undefined) throw wrong(`${where} has no trigger.`);
  const [triggerName, binding] = trigger;
  const outputs = bindings
    .filter(([one]) => one !== triggerName)
    .flatMap(([one, other]) => outputOf(one, other, where, settings));
  const disabled = isTrue(
    settings.get(`AzureWebJobs.${name}.Disabled`) ?? settings.get(`AzureWebJobs:${name}:Disabled`),
  );
  const common = { name, triggerName, outputs, disabled };
  const text = (option: string): string => settings.resolveNames(optionText(binding, option), `${where}: ${option}`);
  switch (binding.type.toLowerCase()) {
    case "queuetrigger":
      return {
        ...common,
        kind: "queue",
        queueName: queueNameOf(text("queueName"), where),
        connection: resolveConnection(settings, text("connection"), where),
      };
    case "timertrigger":
      return timerOf(common, binding, parseNcrontab(text("schedule"), where), context.nowMs);
    case "httptrigger":
      return httpOf(common, binding, text("route"), context.routePrefix);
    default:
      throw wrong(`${where} has a trigger of type ${binding.type}: this host has HTTP, timer and queue triggers.`);
  }
}

type Common = Omit<QueueFunction, "kind" | "queueName" | "connection">;

function timerOf(common: Common, binding: Binding, schedule: Ncrontab, nowMs: number): TimerFunction {
  // As the real host decides it: no status for a schedule with less than a minute between its next occurrences.
  let shortest = Number.POSITIVE_INFINITY;
  for (let count = 0, at = schedule.next(nowMs); count < 5; count += 1) {
    const following = schedule.next(at);
    shortest = Math.min(shortest, following - at);
    at = following;
  }
  const useMonitor = binding["useMonitor"] !== false && shortest >= 60_000;
  return { ...common, kind: "timer", schedule, runOnStartup: binding["runOnStartup"] === true, useMonitor };
}

function httpOf(common: Common, binding: Binding, route: string, routePrefix: string): HttpFunction {
  const where = `The function ${common.name}`;
  const own = (route === "" ? common.name : route).replaceAll(/^\/+|\/+$/g, "");
  if (/^(?:admin|runtime)/i.test(own)) {
    throw wrong(
      `${where} has the route ${JSON.stringify(own)}: routes that begin with admin or runtime are the host's.`,
    );
  }
  const methods = Array.isArray(binding["methods"]) ? binding["methods"].map((one) => String(one).toUpperCase()) : [];
  const authLevel = (optionText(binding, "authLevel") || "anonymous").toLowerCase();
  if (authLevel !== "anonymous" && authLevel !== "function" && authLevel !== "admin") {
    throw wrong(`${where} has the authLevel ${JSON.stringify(authLevel)}: use anonymous, function or admin.`);
  }
  return {
    ...common,
    kind: "http",
    route: parseRouteTemplate(routePrefix === "" ? own : `${routePrefix}/${own}`, where),
    methods: methods.length === 0 ? ["GET", "POST"] : methods,
    authLevel,
  };
}

function outputOf(name: string, binding: Binding, where: string, settings: Settings): QueueOutput[] {
  const type = binding.type.toLowerCase();
  if (binding.direction === "out" && type === "http") return [];
  if (binding.direction !== "out" || type !== "queue") {
    throw wrong(
      `${where} has the ${binding.direction} binding ${name} of type ${binding.type}: use the SDK instead; this host only has queue outputs.`,
    );
  }
  const text = (option: string): string => settings.resolveNames(optionText(binding, option), `${where}: ${option}`);
  return [
    {
      name,
      queueName: queueNameOf(text("queueName"), where),
      connection: resolveConnection(settings, text("connection"), where),
    },
  ];
}

/** Two functions on one route are a conflict where they share a method. */
function checkRoutes(entries: readonly HttpFunction[]): void {
  for (const [index, entry] of entries.entries()) {
    for (const other of entries.slice(0, index)) {
      const shared = entry.methods.filter((method) => other.methods.includes(method));
      if (entry.route.shape === other.route.shape && shared.length > 0) {
        throw wrong(
          `The function ${entry.name} has the route ${entry.route.text}, which conflicts with the route of ${other.name} for ${shared.join(", ")}.`,
        );
      }
    }
  }
}

function queueNameOf(text: string, where: string): string {
  const name = text.toLowerCase();
  if (/^[a-z0-9](?:-?[a-z0-9])*$/.test(name) && name.length >= 3 && name.length <= 63) return name;
  throw wrong(
    `${where} has the queue name ${JSON.stringify(text)}: use 3 to 63 letters, digits and single "-", not at an end.`,
  );
}

function optionText(binding: Binding, option: string): string {
  const value = binding[option];
  return typeof value === "string" ? value : "";
}

const isTrue = (value: string | undefined): boolean => value !== undefined && /^(?:true|1)$/i.test(value);
const wrong = (message: string): FarsideError => new FarsideError("bad-configuration", message);
