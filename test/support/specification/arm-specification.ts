/** The official specifications of the resource providers that Farside speaks to, as the installed SDKs have them. */
import { ModelReader } from "./model-reader.ts";
import { type FoundOperation, readOperations, type SpecifiedOperation } from "./operation-reader.ts";
import { resourcesAndLocks } from "./resources-and-locks.ts";
import { SdkSource } from "./sdk-source.ts";
import type { WireModel } from "./wire-model.ts";

export interface Models {
  /** Throws for a name that is no model. */
  model(name: string): WireModel;
}

export interface Provider {
  readonly models: Models;
  readonly operations: readonly FoundOperation[];
}

export interface FoundPath {
  readonly operation: SpecifiedOperation;
  readonly models: Models;
}

const sdks: Readonly<Record<string, string>> = {
  "microsoft.compute": "arm-compute",
  "microsoft.network": "arm-network",
};

/** Read once, when something of the provider is first looked for. */
const providers = new Map<string, Provider>();

/** The operation of a request; undefined where the provider has none such. Paths do not tell upper case from lower. */
export function findOperation(method: string, path: string): FoundPath | undefined {
  const { operations, models } = providerOf(path);
  const fitting = operations.filter((one) => one.method === method && fits(one.template, path));
  // A place that is written out says more than one that is open.
  const [best] = fitting.toSorted((one, other) => openPlaces(one.template) - openPlaces(other.template));
  return best === undefined ? undefined : { operation: best.read(), models };
}

/** The one that a path names last: a lock of a disk is no disk. */
export function providerOf(path: string): Provider {
  const namespace = /.*\/providers\/([^/]+)/i.exec(path)?.[1]?.toLowerCase() ?? "";
  const sdk = sdks[namespace];
  if (sdk === undefined) return resourcesAndLocks;
  const standing = providers.get(sdk);
  if (standing !== undefined) return standing;
  const source = new SdkSource(sdk);
  const models = new ModelReader(source);
  const made = { models, operations: readOperations(source, models) };
  providers.set(sdk, made);
  return made;
}

function fits(template: string, path: string): boolean {
  const [wanted, given] = [template.toLowerCase().split("/"), path.toLowerCase().split("/")];
  // A scope is a path of its own: a subscription, a resource group, a resource.
  if (wanted[1] === "{scope}") {
    wanted.splice(0, 2);
    given.splice(0, given.length - wanted.length);
  }
  const one = (part: string, at: number): boolean => (part.startsWith("{") ? given[at] !== "" : part === given[at]);
  return wanted.length === given.length && wanted.every(one);
}

function openPlaces(template: string): number {
  return template.split("{").length;
}
