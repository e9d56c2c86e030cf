import { describe, expect, test } from "vitest";
import { endpoints } from "../../../functions/register.ts";
import { functionNames } from "../../../shared/config/function-names.ts";
import { openApiDocument } from "../../../shared/wire/http/openapi.ts";
import { routes } from "../../../shared/wire/http/routes.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly security?: readonly object[];
}

const document = openApiDocument("1.2.3") as {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

describe("The registered functions", () => {
  test("are the described routes, each once", () => {
    const registered = endpoints.map(({ route }) => `${route.method} /api/${route.path}`).sort();
    const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort();
    expect(registered).toEqual(described);
    expect(new Set(registered).size).toBe(registered.length);
    expect(endpoints).toHaveLength(Object.keys(routes).length);
  });

  test("have names of their own that Azure takes", () => {
    expect(new Set(functionNames).size).toBe(functionNames.length);
    for (const name of functionNames) expect(name).toMatch(/^[A-Za-z][A-Za-z0-9_-]{0,126}$/);
  });

  test("are open to everybody only where they say nothing secret", () => {
    const anonymous = endpoints.filter(({ route }) => route.access === "anonymous").map(({ route }) => route.name);
    expect(anonymous).toEqual(["get-health"]);
  });
});

describe("The OpenAPI document", () => {
  test("says what it is", () => {
    expect(document.openapi).toBe("3.1.0");
    expect(document.info).toMatchObject({ title: "Farside", version: "1.2.3" });
    // It must survive being sent.
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  test("has an operation id of its own for each operation", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(operations.map((one) => [`${one.method} ${one.path}`, one] as const))("describes %s", (_name, one) => {
    const { path, method, operation } = one;
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = operation.parameters.filter((parameter) => parameter.in === "path");
    expect(described.map((parameter) => parameter.name)).toEqual(inPath);
    expect(described.every((parameter) => parameter.required)).toBe(true);
    expect(Object.keys(operation.responses).some((status) => status.startsWith("2"))).toBe(true);
    expect(operation.requestBody !== undefined).toBe(method === "put" || method === "post");
    for (const response of Object.values(operation.responses)) expect(response.description).not.toBe("");
    const isOpen = path === "/api/health";
    expect("401" in operation.responses).toBe(!isOpen);
    expect(operation.security === undefined).toBe(!isOpen);
  });

  test("refers only to schemas that it has", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference);
    expect(references.length).toBeGreaterThan(20);
    for (const reference of references) {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(reference ?? "")?.[1];
      expect(document.components.schemas).toHaveProperty(name ?? `an odd reference ${reference}`);
    }
  });

  test("says that bodies take no other fields", () => {
    for (const name of ["PolicyBody", "VmBody", "RestoreBody"]) {
      expect(document.components.schemas[name]).toMatchObject({ type: "object", additionalProperties: false });
    }
  });

  test("says how a run that was asked for is found", () => {
    const operation = document.paths["/api/vms/{vm}/backups"]?.["post"];
    expect(operation?.responses["202"]).toMatchObject({
      headers: { Location: {}, "Operation-Location": {}, "Retry-After": {} },
    });
    expect(operation?.parameters.map((parameter) => parameter.name)).toContain("Idempotency-Key");
  });
});
