/**
 * host.json: what of it changes how functions run here, with the defaults of the real host.
 *
 * A setting `AzureFunctionsJobHost__a__b` overrides the value at a.b. Sections that only matter in Azure (logging,
 * extensionBundle, …) are allowed and not read; a section of an extension that this host has is checked in full.
 */
import { z } from "zod";
import { FarsideError } from "../../shared/core/errors.ts";
import type { Settings } from "./settings.ts";
import { parseTimeSpan } from "./time-span.ts";

export interface HostConfiguration {
  /** undefined: unlimited. */
  readonly functionTimeoutMs: number | undefined;
  /** Without slashes at its ends; may be empty. */
  readonly routePrefix: string;
  readonly queues: QueueConfiguration;
}

export interface QueueConfiguration {
  /** Messages per request, 1 to 32. */
  readonly batchSize: number;
  /** The next batch is fetched when no more than this many run: at most batchSize + newBatchThreshold run at once. */
  readonly newBatchThreshold: number;
  /** How long a failed message stays invisible. */
  readonly visibilityTimeoutMs: number;
  readonly maxDequeueCount: number;
  readonly maxPollingIntervalMs: number;
  readonly messageEncoding: "base64" | "none";
}

const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const schema = z.looseObject({
  version: z.literal("2.0", { error: 'must be "2.0"' }),
  functionTimeout: z.string().optional(),
  extensions: z
    .looseObject({
      http: z.looseObject({ routePrefix: z.string().default("api") }).prefault({}),
      queues: z
        .strictObject({
          batchSize: whole(1, 32).default(16),
          newBatchThreshold: whole(0, 10_000).optional(),
          visibilityTimeout: z.string().default("00:00:00"),
          maxDequeueCount: whole(1, 10_000).default(5),
          maxPollingInterval: z.string().optional(),
          messageEncoding: z
            .string()
            .transform((text) => text.toLowerCase())
            .pipe(z.enum(["base64", "none"]))
            .default("base64"),
        })
        .prefault({}),
    })
    .prefault({}),
});

export interface HostJsonContext {
  readonly settings: Settings;
  /** Development has a shorter default of the polling interval: 2 s instead of 1 min. */
  readonly development: boolean;
  readonly processors: number;
}

/** @throws FarsideError `bad-configuration` that names each wrong value. */
export function parseHostJson(text: string, { settings, development, processors }: HostJsonContext): HostConfiguration {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new FarsideError("bad-configuration", `host.json is no JSON: ${(error as Error).message}`, { cause: error });
  }
  for (const { path, value } of settings.below("AzureFunctionsJobHost")) setAt(content, path, value);
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    throw new FarsideError("bad-configuration", `host.json is not valid:\n${z.prettifyError(parsed.error)}`);
  }
  const { functionTimeout, extensions } = parsed.data;
  const { queues } = extensions;
  const spanAt = (name: string, span: string): number => parseTimeSpan(span, `host.json: extensions.queues.${name}`);
  return {
    functionTimeoutMs: functionTimeoutOf(functionTimeout),
    routePrefix: extensions.http.routePrefix.replaceAll(/^\/+|\/+$/g, ""),
    queues: {
      batchSize: queues.batchSize,
      newBatchThreshold: queues.newBatchThreshold ?? Math.floor(queues.batchSize / 2) * processors,
      visibilityTimeoutMs: spanAt("visibilityTimeout", queues.visibilityTimeout),
      maxDequeueCount: queues.maxDequeueCount,
      maxPollingIntervalMs: pollingInterval(queues.maxPollingInterval, development),
      messageEncoding: queues.messageEncoding,
    },
  };
}

function pollingInterval(text: string | undefined, development: boolean): number {
  if (text === undefined) return development ? 2000 : 60_000;
  const ms = parseTimeSpan(text, "host.json: extensions.queues.maxPollingInterval");
  if (ms >= 100) return ms;
  throw new FarsideError(
    "bad-configuration",
    `host.json: extensions.queues.maxPollingInterval is ${JSON.stringify(text)}: the least is "00:00:00.100".`,
  );
}

function functionTimeoutOf(text: string | undefined): number | undefined {
  // -1 as a bare number or as the time span of one negative millisecond or second: unlimited.
  if (text !== undefined && text.startsWith("-")) return undefined;
  const ms = text === undefined ? 30 * 60_000 : parseTimeSpan(text, "host.json: functionTimeout");
  if (ms > 0) return ms;
  throw new FarsideError(
    "bad-configuration",
    `host.json: functionTimeout is ${JSON.stringify(text)}: it must not be 0.`,
  );
}

/** Sets a value at a path, finding existing names without regard to case, as .NET configuration does. */
function setAt(target: unknown, path: readonly string[], value: string): void {
  const [head, ...rest] = path;
  if (head === undefined || typeof target !== "object" || target === null) return;
  const record = target as Record<string, unknown>;
  const key = Object.keys(record).find((one) => one.toLowerCase() === head) ?? canonicalNames.get(head) ?? head;
  if (rest.length === 0) {
    record[key] = value;
    return;
  }
  if (typeof record[key] !== "object" || record[key] === null) record[key] = {};
  setAt(record[key], rest, value);
}

/** The spelling of the names that are read here, for overrides of values that host.json does not have. */
const canonicalNames = new Map(
  [
    "functionTimeout",
    "routePrefix",
    "batchSize",
    "newBatchThreshold",
    "visibilityTimeout",
    "maxDequeueCount",
    "maxPollingInterval",
    "messageEncoding",
  ].map((name) => [name.toLowerCase(), name]),
);
