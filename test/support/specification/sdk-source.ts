/**
 * The declarations of an installed SDK of Azure Resource Manager. Its files are generated from the official specifications (TypeSpec), one
 * declaration after the other, so that they are cut at `export` and each one is parsed when it is asked for: parsing them all takes seconds.
 */
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, type Statement } from "oxc-parser";

const packages = resolve(fileURLToPath(import.meta.url), "../../../../node_modules/@azure");

export class SdkSource {
  readonly name: string;
  /** `interface Disk`, `type DiskState`, `enum KnownDiskState` and `function diskDeserializer`, as TypeScript declares them. */
  readonly #declared: ReadonlyMap<string, string>;
  /** The same functions with their bodies, by their names in lower case: that of `OSDisk` is written `osDiskDeserializer`. */
  readonly #functions: ReadonlyMap<string, string>;

  constructor(name: string) {
    this.name = name;
    this.#declared = named(
      this.files("models/**/models.d.ts"),
      /^export (?:declare )?((?:interface|type|enum|function) \w+)/,
    );
    const functions = named(this.files("models/**/models.js"), /^export function (\w+)/);
    this.#functions = new Map([...functions].map(([key, text]) => [key.toLowerCase(), text]));
  }

  /** The texts of the files that match. */
  files(pattern: string): string[] {
    const folder = join(packages, this.name, "dist/esm");
    const found = globSync(pattern, { cwd: folder }).toSorted();
    if (found.length === 0) throw new Error(`${this.name} has no ${pattern}: its generator has changed.`);
    return found.map((path) => readFileSync(join(folder, path), "utf8"));
  }

  /** `interface Disk` and so on; undefined where there is none of that name. */
  declaration(named: string): Statement | undefined {
    return parsed(this.#declared.get(named), "model.d.ts");
  }

  /** The function of this name, however its letters are written. */
  body(name: string): Statement | undefined {
    return parsed(this.#functions.get(name.toLowerCase()), "model.js");
  }
}

function named(texts: readonly string[], name: RegExp): ReadonlyMap<string, string> {
  const parts = texts.flatMap((text) => text.split(/^(?=export )/m));
  return new Map(parts.flatMap((part) => [[name.exec(part)?.[1] ?? "", part] as const]));
}

function parsed(text: string | undefined, file: string): Statement | undefined {
  if (text === undefined) return undefined;
  const [first] = parseSync(file, text, { preserveParens: false }).program.body;
  return first?.type === "ExportNamedDeclaration" ? (first.declaration ?? undefined) : undefined;
}
