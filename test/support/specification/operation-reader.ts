/** Reads the operations of an SDK: what is asked how, which answers are expected, what they hold. */
import type { ModelReader } from "./model-reader.ts";
import type { SdkSource } from "./sdk-source.ts";
import type { WireType } from "./wire-model.ts";

export interface SpecifiedOperation {
  /** E.g. `PUT /resourceGroups/{resourceGroupName}/providers/…`: below a subscription. */
  readonly name: string;
  readonly method: string;
  readonly template: string;
  readonly apiVersion: string;
  readonly query: readonly string[];
  readonly statuses: readonly number[];
  readonly request: WireType | undefined;
  /** Some requests go without their body. */
  readonly requestRequired: boolean;
  readonly response: WireType | undefined;
  /** Where the result of a long-running operation is found at its end; undefined: it is not one. */
  readonly finalState: string | undefined;
  readonly paged: boolean;
}

/** An operation whose details are read when it is asked for. */
export interface FoundOperation {
  readonly method: string;
  readonly template: string;
  readonly read: () => SpecifiedOperation;
}

export function readOperations(source: SdkSource, models: ModelReader): FoundOperation[] {
  return source.files("api/*/operations.js").flatMap((text) => {
    const sends = [...text.matchAll(/^export function _(\$?\w+)Send\([^]*?^}$/gm)];
    return sends.map(([send, name = ""]) => {
      const [template = ""] = pathOf(send).split("{?");
      const method = required(/\.path\(path\)\s*\.(\w+)\(/, send).toUpperCase();
      let made: SpecifiedOperation | undefined;
      return { method, template, read: () => (made ??= readOne({ text, send, name, method, template }, models)) };
    });
  });
}

interface Text {
  /** Of the whole file. */
  readonly text: string;
  /** Of the function that sends. */
  readonly send: string;
  readonly name: string;
  readonly method: string;
  readonly template: string;
}

function readOne({ text, send, name, method, template }: Text, models: ModelReader): SpecifiedOperation {
  const reads = functionOf(text, `_${name}Deserialize`);
  const begins = functionOf(text, name);
  const request = /body: ([^]*?)\b(\w+Serializer)\(/.exec(send);
  const response = /return (\w+Deserializer)\(result\.body\)/.exec(reads)?.[1];
  return {
    name: `${method} ${template.replace("/subscriptions/{subscriptionId}", "")}`,
    method,
    template,
    apiVersion: required(/"api%2Dversion": (?:context\.apiVersion \?\? )?"([^"]+)"/, send),
    query: decodeURIComponent(/\{\?([^}]*)\}/.exec(pathOf(send))?.[1] ?? "").split(","),
    statuses: required(/expectedStatuses = \[([^\]]*)\]/, reads)
      .split(",")
      .map((status) => Number(JSON.parse(status))),
    request: request?.[2] === undefined ? undefined : models.typeOf(request[2]),
    requestRequired: request?.[1] === "",
    response: response === undefined ? undefined : models.typeOf(response),
    finalState: begins.includes("getLongRunningPoller(")
      ? (/resourceLocationConfig: "([^"]+)"/.exec(begins)?.[1] ?? "the resource")
      : undefined,
    paged: begins.includes("buildPagedAsyncIterator("),
  };
}

function pathOf(send: string): string {
  return required(/expandUrlTemplate\(\s*"([^"]+)"/, send);
}

function functionOf(text: string, name: string): string {
  const start = text.search(new RegExp(`^export (async )?function ${name.replace("$", "\\$")}\\(`, "m"));
  if (start < 0) throw new Error(`There is no function ${name}.`);
  return text.slice(start, text.indexOf("\n}\n", start));
}

function required(pattern: RegExp, text: string): string {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`${String(pattern)} is not in an operation: its generator has changed.`);
  return found;
}
