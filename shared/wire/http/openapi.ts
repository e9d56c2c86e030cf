/** OpenAPI 3.1, made from the table of routes and the schemas in it. */
import { z } from "zod";
import { errorCodes } from "../../core/errors.ts";
import { idempotencyKeySchema } from "./page.ts";
import { policyBodySchema, policyViewSchema } from "./policy.ts";
import { problemSchema } from "./problem.ts";
import { restorePointViewSchema } from "./restore-point.ts";
import { restoreBodySchema } from "./restore.ts";
import type { Answer, Route } from "./routes.ts";
import { routes } from "./routes.ts";
import { runViewSchema } from "./run.ts";
import { healthSchema, statusSchema, vaultViewSchema } from "./status.ts";
import { vmBodySchema, vmViewSchema } from "./vm.ts";

export type Json = Readonly<Record<string, unknown>>;

/** The schemas with a name of their own in the document. Bodies are described as they come in, views as they go out. */
const bodies = { PolicyBody: policyBodySchema, VmBody: vmBodySchema, RestoreBody: restoreBodySchema };
const views = {
  Policy: policyViewSchema,
  Vm: vmViewSchema,
  Run: runViewSchema,
  RestorePoint: restorePointViewSchema,
  Status: statusSchema,
  Health: healthSchema,
  Vault: vaultViewSchema,
  Problem: problemSchema,
};

export function openApiDocument(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of Object.values(routes) as readonly Route[]) {
    const path = (paths[`/api/${route.path}`] ??= {});
    path[route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Farside",
      version,
      description:
        "Backup and disaster recovery for Azure VMs. Errors are problem documents (RFC 9457) with a stable type.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ functionsKey: [] }],
    paths,
    components: {
      securitySchemes: { functionsKey: { type: "apiKey", in: "header", name: "x-functions-key" } },
      schemas: {
        ...mapValues(bodies, (schema) => jsonSchema(schema, "input")),
        ...mapValues(views, (schema) => jsonSchema(schema, "output")),
      },
    },
  };
}

function operationOf(route: Route): Json {
  return {
    operationId: route.name,
    summary: route.summary,
    ...(route.access === "anonymous" ? { security: [] } : {}),
    parameters: [...parametersOf(route.params, "path"), ...parametersOf(route.query, "query"), ...headersOf(route)],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: route.bodyOptional === undefined, content: content(route.body, "input") } }),
    responses: {
      ...Object.fromEntries(route.answers.map((answer) => [String(answer.status), responseOf(answer)])),
      ...problemResponses(route),
    },
  };
}

function parametersOf(schema: z.ZodType, place: "path" | "query"): Json[] {
  const described = jsonSchema(schema, "input") as {
    properties?: Record<string, Json>;
    required?: readonly string[];
  };
  return Object.entries(described.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || (described.required?.includes(name) ?? false),
    schema: property,
  }));
}

function headersOf(route: Route): Json[] {
  if (route.idempotent === undefined) return [];
  const description = "The same key gives the same run.";
  return [
    {
      name: "Idempotency-Key",
      in: "header",
      required: false,
      description,
      schema: jsonSchema(idempotencyKeySchema, "input"),
    },
  ];
}

function responseOf(answer: Answer): Json {
  const text = (description: string): Json => ({ description, schema: { type: "string" } });
  return {
    description: answer.text,
    ...(answer.locatesRun === undefined
      ? {}
      : {
          headers: {
            Location: text("The run."),
            "Operation-Location": text("The run, where its progress is asked for."),
            "Retry-After": text("Seconds to wait before asking for the run."),
          },
        }),
    ...(answer.schema === undefined ? {} : { content: content(answer.schema, "output") }),
  };
}

/** One response for each status: the codes that share it stand in its description. */
function problemResponses(route: Route): Json {
  const always = route.access === "key" ? (["bad-configuration", "internal"] as const) : [];
  const byStatus = new Map<number, string[]>();
  for (const code of [...route.problems, ...always]) {
    const { httpStatus } = errorCodes[code];
    byStatus.set(httpStatus, [...(byStatus.get(httpStatus) ?? []), code]);
  }
  const problem = { "application/problem+json": { schema: reference("Problem") } };
  const responses: Record<string, Json> = {};
  for (const [status, codes] of byStatus) responses[status] = { description: codes.join(", "), content: problem };
  if (route.access === "key") responses["401"] ??= { description: "The key is missing or wrong; no body." };
  if (route === routes.getHealth) {
    responses["503"] = { description: "Unhealthy.", content: content(healthSchema, "output") };
  }
  return responses;
}

function content(schema: z.ZodType, io: "input" | "output"): Json {
  return { "application/json": { schema: named(schema) ?? jsonSchema(schema, io) } };
}

/** A reference where the schema has a name, also inside a page of such things. */
function named(schema: z.ZodType): Json | undefined {
  const name = nameOf(schema);
  if (name !== undefined) return reference(name);
  if (!(schema instanceof z.ZodObject)) return undefined;
  const items: unknown = schema.shape["items"];
  const element = items instanceof z.ZodArray ? nameOf(items.element as z.ZodType) : undefined;
  if (element === undefined) return undefined;
  const described = jsonSchema(schema, "output") as { properties: Record<string, Json> };
  return { ...described, properties: { ...described.properties, items: { type: "array", items: reference(element) } } };
}

function nameOf(schema: z.ZodType): string | undefined {
  return Object.entries({ ...bodies, ...views }).find(([, one]) => one === schema)?.[0];
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io,
    unrepresentable: "any",
  });
  return rest;
}

function mapValues<T>(record: Readonly<Record<string, T>>, change: (value: T) => Json): Json {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
