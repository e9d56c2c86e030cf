/**
 * The operations of the blob service on a page blob, as the installed storage SDK has them: it is generated from the service's official
 * specification, and keeps what every header and parameter is called in plain objects ("mappers").
 */
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { z } from "zod";

const generated = resolve(
  fileURLToPath(import.meta.url),
  "../../../../node_modules/@azure/storage-blob/dist/esm/generated/src",
);

export interface BlobOperation {
  /** E.g. `pageBlob getPageRangesDiff`. */
  readonly name: string;
  readonly method: string;
  readonly statuses: readonly number[];
  readonly query: readonly BlobParameter[];
  readonly headers: readonly BlobParameter[];
  /** Lower-case names of the answer's headers, with whether each is a number. */
  readonly answered: ReadonlyMap<string, { readonly isNumber: boolean }>;
}

export interface BlobParameter {
  /** Lower case. */
  readonly name: string;
  /** What it always is in this operation. */
  readonly always: string | undefined;
  readonly required: boolean;
}

const parameterModel = z.object({
  mapper: z.object({
    serializedName: z.string().optional(),
    isConstant: z.boolean().optional(),
    required: z.boolean().optional(),
    defaultValue: z.unknown().optional(),
  }),
});
const headersModel = z.object({
  type: z.object({
    modelProperties: z.record(
      z.string(),
      z.object({ serializedName: z.string(), type: z.object({ name: z.string() }) }),
    ),
  }),
});

/** Loads two modules of the SDK, once. */
export async function readBlobOperations(): Promise<readonly BlobOperation[]> {
  const load = async (name: string): Promise<Record<string, unknown>> =>
    z.record(z.string(), z.unknown()).parse(await import(pathToFileURL(`${generated}/models/${name}.js`).href));
  const [parameters, mappers] = await Promise.all([load("parameters"), load("mappers")]);
  const files = globSync("{blob,pageBlob}.js", { cwd: `${generated}/operations` });
  const operations = files.flatMap((file) => {
    const text = readFileSync(`${generated}/operations/${file}`, "utf8");
    const specs = [...text.matchAll(/^const (\w+)OperationSpec = \{$[^]*?^\};$/gm)];
    return specs.map(([spec, name = ""]) => readOne(`${file.replace(".js", "")} ${name}`, spec, parameters, mappers));
  });
  if (operations.length < 30) throw new Error("The storage SDK's operations are not read: its generator has changed.");
  return operations;
}

function readOne(
  name: string,
  spec: string,
  parameters: Readonly<Record<string, unknown>>,
  mappers: Readonly<Record<string, unknown>>,
): BlobOperation {
  const named = (list: string): BlobParameter[] => {
    const text = new RegExp(`${list}: \\[([^\\]]*)\\]`).exec(spec)?.[1] ?? "";
    return [...text.matchAll(/Parameters\.(\w+)/g)].flatMap(([, key = ""]) => {
      const { mapper } = parameterModel.parse(parameters[key]);
      const { serializedName, isConstant, defaultValue, required } = mapper;
      const always = isConstant === true && typeof defaultValue === "string" ? defaultValue : undefined;
      return serializedName === undefined
        ? []
        : [{ name: serializedName.toLowerCase(), always, required: required === true }];
    });
  };
  const [good = ""] = spec.split("default: {");
  const headers = [...good.matchAll(/headersMapper: Mappers\.(\w+)/g)].flatMap(([, key = ""]) =>
    Object.values(headersModel.parse(mappers[key]).type.modelProperties),
  );
  return {
    name,
    method: /httpMethod: "(\w+)"/.exec(spec)?.[1] ?? "",
    statuses: [...good.matchAll(/^ {8}(\d{3}): \{/gm)].map(([, status]) => Number(status)),
    query: named("queryParameters"),
    headers: named("headerParameters"),
    answered: new Map(
      headers.map(({ serializedName, type }) => [serializedName.toLowerCase(), { isNumber: type.name === "Number" }]),
    ),
  };
}
