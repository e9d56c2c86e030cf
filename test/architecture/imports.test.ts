import { parseSync } from "oxc-parser";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * Who may import whom (docs/architecture.md). A layer's own folder is always allowed, except where `self` is false:
 * adapters never import an adapter of another folder. `packages` says whether npm packages are allowed.
 */
const layers: readonly Layer[] = [
  { name: "core", folder: "shared/core", may: [], packages: [] },
  { name: "ports", folder: "shared/ports", may: ["core"], packages: [] },
  { name: "wire", folder: "shared/wire", may: ["core"], packages: ["zod"] },
  { name: "images", folder: "shared/images", may: ["core", "ports"], packages: [] },
  { name: "operations", folder: "shared/operations", may: ["core", "ports", "wire", "images"], packages: ["p-limit"] },
  { name: "adapters/azure", folder: "shared/adapters/azure", may: ["core", "ports", "wire"], packages: "any" },
  { name: "adapters/local", folder: "shared/adapters/local", may: ["core", "ports", "wire"], packages: "any" },
  { name: "adapters/memory", folder: "shared/adapters/memory", may: ["core", "ports", "wire"], packages: "any" },
  { name: "adapters/nbd", folder: "shared/adapters/nbd", may: ["core", "ports"], packages: [] },
  { name: "config", folder: "shared/config", may: ["core", "wire"], packages: ["zod"] },
  {
    name: "compose",
    folder: "shared/compose",
    may: [
      "core",
      "ports",
      "wire",
      "images",
      "operations",
      "config",
      "adapters/azure",
      "adapters/local",
      "adapters/memory",
      "adapters/nbd",
    ],
    packages: "any",
  },
  {
    name: "functions",
    folder: "functions",
    may: ["core", "ports", "wire", "operations", "config", "compose"],
    packages: "any",
  },
  { name: "local", folder: "local", may: ["core", "ports", "wire", "config", "compose"], packages: "any" },
  // A program by itself that asks the platform what our adapters rely on.
  {
    name: "infra",
    folder: "infra",
    may: ["core", "ports", "config", "compose", "adapters/azure"],
    packages: "any",
  },
  {
    name: "cli",
    folder: "cli",
    may: ["core", "ports", "wire", "images", "operations", "config", "compose", "local"],
    packages: "any",
  },
];

interface Layer {
  readonly name: string;
  readonly folder: string;
  readonly may: readonly string[];
  readonly packages: readonly string[] | "any";
}

interface Import {
  readonly from: string;
  readonly specifier: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): Import[] {
  const { module, errors } = parseSync(file, readFileSync(join(root, file), "utf8"));
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]?.message}`);
  const specifiers = [
    ...module.staticImports.map((entry) => entry.moduleRequest.value),
    ...module.staticExports.flatMap((entry) =>
      entry.entries.flatMap((e) => (e.moduleRequest ? [e.moduleRequest.value] : [])),
    ),
    ...module.dynamicImports.map((entry) =>
      readFileSync(join(root, file), "utf8")
        .slice(entry.moduleRequest.start, entry.moduleRequest.end)
        .replaceAll(/^["']|["']$/g, ""),
    ),
  ];
  return specifiers.map((specifier) => ({ from: file, specifier }));
}

function layerOf(file: string): Layer | undefined {
  return layers.find((layer) => file.startsWith(`${layer.folder}/`));
}

/** Why this import is against the table, or undefined where it is allowed. */
function violation({ from, specifier }: Import): string | undefined {
  const layer = layerOf(from);
  if (layer === undefined || specifier.startsWith("node:")) return undefined;
  if (!specifier.startsWith(".")) {
    const name = specifier
      .split("/")
      .slice(0, specifier.startsWith("@") ? 2 : 1)
      .join("/");
    return layer.packages === "any" || layer.packages.includes(name)
      ? undefined
      : `${from}: ${layer.name} may not use the package ${name}`;
  }
  const target = relative(root, resolve(root, dirname(from), specifier));
  const targetLayer = layerOf(target);
  if (targetLayer === layer || (targetLayer !== undefined && layer.may.includes(targetLayer.name))) return undefined;
  return `${from}: ${layer.name} may not import ${target}`;
}

describe("The direction of imports", () => {
  const files = layers.flatMap((layer) => sourceFiles(layer.folder));
  const imports = files.flatMap(importsOf);

  test("holds in every file", () => {
    expect(imports.map(violation).filter((found) => found !== undefined)).toEqual([]);
  });

  test("was checked against files and imports that were really seen", () => {
    expect(files.length).toBeGreaterThan(0);
    expect(imports.length).toBeGreaterThan(0);
    expect(layerOf("shared/core/ids.ts")?.name).toBe("core");
  });

  test("would be found broken: an import of the edge by the core, a package in the core, an adapter of another kind", () => {
    expect(violation({ from: "shared/core/a.ts", specifier: "../ports/clock.ts" })).toMatch(
      /core may not import shared\/ports/,
    );
    expect(violation({ from: "shared/core/a.ts", specifier: "zod" })).toMatch(/may not use the package zod/);
    expect(violation({ from: "shared/adapters/azure/a.ts", specifier: "../memory/b.ts" })).toMatch(/may not import/);
    expect(violation({ from: "shared/ports/a.ts", specifier: "../core/b.ts" })).toBeUndefined();
  });

  test("leaves no file of the project outside a layer", () => {
    const outside = ["shared", "functions", "cli", "local", "infra"]
      .flatMap(sourceFiles)
      .filter((file) => layerOf(file) === undefined);
    expect(outside).toEqual([]);
  });
});
