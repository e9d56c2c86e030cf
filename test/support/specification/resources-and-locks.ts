/**
 * What Farside asks of resource providers whose SDK is not installed: locks, permissions and resource groups. Written by hand from the REST API
 * reference: "Management Locks", "Permissions - List For Resource Group", "Resource Groups".
 */
import type { FoundOperation, SpecifiedOperation } from "./operation-reader.ts";
import type { Provider } from "./arm-specification.ts";
import type { WireModel, WireProperty, WireType } from "./wire-model.ts";

const text: WireType = { kind: "text" };
const model = (name: string): WireType => ({ kind: "model", name });
const list = (of: WireType): WireType => ({ kind: "list", of });
const may = (type: WireType): WireProperty => ({ type, required: false, readOnly: false });
const must = (type: WireType): WireProperty => ({ type, required: true, readOnly: false });
const told = (type: WireType): WireProperty => ({ type, required: false, readOnly: true });

const own = { id: told(text), name: told(text), type: told(text) };
const wireModels: Readonly<Record<string, Readonly<Record<string, WireProperty>>>> = {
  Lock: { ...own, properties: must(model("LockProperties")), systemData: told({ kind: "anything" }) },
  LockProperties: {
    level: must({ kind: "value", values: ["NotSpecified", "CanNotDelete", "ReadOnly"] }),
    notes: may(text),
    owners: may(list({ kind: "anything" })),
  },
  Locks: { value: may(list(model("Lock"))), nextLink: may(text) },
  Permission: {
    actions: may(list(text)),
    notActions: may(list(text)),
    dataActions: may(list(text)),
    notDataActions: may(list(text)),
    condition: told(text),
    conditionVersion: told(text),
  },
  Permissions: { value: must(list(model("Permission"))), nextLink: told(text) },
  ResourceGroup: {
    ...own,
    location: must(text),
    managedBy: may(text),
    tags: may({ kind: "map", of: text }),
    properties: may(model("ResourceGroupProperties")),
  },
  ResourceGroupProperties: { provisioningState: told(text) },
};

interface Written {
  readonly name: string;
  readonly apiVersion: string;
  readonly statuses: readonly number[];
  readonly request?: string;
  readonly response?: string;
  readonly paged?: boolean;
}

const locks = "/{scope}/providers/Microsoft.Authorization/locks";
const group = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}";
const lockVersion = "2020-05-01";
const written: readonly Written[] = [
  { name: `PUT ${locks}/{lockName}`, apiVersion: lockVersion, statuses: [200, 201], request: "Lock", response: "Lock" },
  { name: `GET ${locks}/{lockName}`, apiVersion: lockVersion, statuses: [200], response: "Lock" },
  { name: `DELETE ${locks}/{lockName}`, apiVersion: lockVersion, statuses: [200, 204] },
  { name: `GET ${locks}`, apiVersion: lockVersion, statuses: [200], response: "Locks", paged: true },
  {
    name: "GET /{scope}/providers/Microsoft.Authorization/permissions",
    apiVersion: "2022-04-01",
    statuses: [200],
    response: "Permissions",
    paged: true,
  },
  { name: `GET ${group}`, apiVersion: "2021-04-01", statuses: [200], response: "ResourceGroup" },
  {
    name: `PUT ${group}`,
    apiVersion: "2021-04-01",
    statuses: [200, 201],
    request: "ResourceGroup",
    response: "ResourceGroup",
  },
  { name: `HEAD ${group}`, apiVersion: "2021-04-01", statuses: [204] },
];

const operations: readonly FoundOperation[] = written.map((one) => {
  const [method = "", template = ""] = one.name.split(" ");
  const specified: SpecifiedOperation = {
    name: one.name,
    method,
    template,
    apiVersion: one.apiVersion,
    query: ["api-version", "$filter"],
    statuses: one.statuses,
    request: one.request === undefined ? undefined : model(one.request),
    requestRequired: one.request !== undefined,
    response: one.response === undefined ? undefined : model(one.response),
    finalState: undefined,
    paged: one.paged === true,
  };
  return { method, template, read: () => specified };
});

export const resourcesAndLocks: Provider = {
  operations,
  models: {
    model(name): WireModel {
      const found = wireModels[name];
      if (found === undefined) throw new Error(`There is no model ${name}.`);
      return new Map(Object.entries(found));
    },
  },
};
