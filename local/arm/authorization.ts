/**
 * Who may do what in the local region, as Azure role-based access control decides it: a token names a principal, principals have roles at
 * scopes, and what no role allows is refused in ARM's own words.
 *
 * 1. The action of a request follows from its method and the types in its path ("Azure resource provider operations").
 * 2. What a request refers to needs rights of its own (linked access checks): only those are asked for here that the documentation, or an
 *    answer of the service that somebody published, names.
 */
import { allowsAction, type RoleDefinition } from "./role-definition.ts";
import { asList, asObject, asText, type Json } from "./resources.ts";
import { ServiceError } from "./service-error.ts";

export interface RoleAssignment {
  /** The token that the principal comes with: nothing here checks who it is. */
  readonly principal: string;
  readonly role: RoleDefinition;
  /** A subscription, a resource group or a resource. */
  readonly scope: string;
}

export interface Need {
  readonly action: string;
  readonly scope: string;
}

/** How an operation goes on is told to whoever may look at operations anywhere in the subscription: a role in a group is enough to begin one. */
const operations = /^Microsoft\.\w+\/locations\/(?:disk)?operations\/read$/i;

export interface AuthorizedRequest {
  readonly principal: string;
  readonly method: string;
  readonly path: string;
  readonly body: Json;
}

export class Authorization {
  readonly #assignments: RoleAssignment[] = [];
  /** By principal: the actions that its requests needed, allowed or not. */
  readonly #asked = new Map<string, Set<string>>();
  readonly #refused = new Map<string, Set<string>>();

  assign(...assignments: readonly RoleAssignment[]): void {
    this.#assignments.push(...assignments);
  }

  /** Takes every role away from a principal. */
  unassign(principal: string): void {
    const kept = this.#assignments.filter((one) => one.principal !== principal);
    this.#assignments.splice(0, this.#assignments.length, ...kept);
  }

  /** Whatever a principal has at a scope, as ARM tells it about itself. */
  permissionsAt(principal: string, scope: string): readonly Json[] {
    const covering = this.#assignments.filter((one) => one.principal === principal && isWithin(scope, one.scope));
    return covering.map(({ role }) => ({
      actions: role.Actions,
      notActions: role.NotActions,
      dataActions: role.DataActions,
      notDataActions: role.NotDataActions,
    }));
  }

  /** What a principal's requests needed so far, in order of name. */
  asked(principal: string): readonly string[] {
    return [...(this.#asked.get(principal) ?? [])].sort();
  }

  /** What it asked so far is no longer known. */
  forget(principal: string): void {
    this.#asked.delete(principal);
    this.#refused.delete(principal);
  }

  /** What a principal was refused so far. */
  refused(principal: string): readonly string[] {
    return [...(this.#refused.get(principal) ?? [])].sort();
  }

  /** Throws ARM's 403. */
  check({ principal, method, path, body }: AuthorizedRequest): void {
    const own = needOf(method, path);
    if (!this.#allows(principal, own)) {
      throw new ServiceError(
        403,
        "AuthorizationFailed",
        `The client '${principal}' with object id '${principal}' does not have authorization to perform action '${own.action}' over scope '${own.scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
      );
    }
    const lacking = linkedNeeds(method, path, body).filter((need) => !this.#allows(principal, need));
    if (lacking.length === 0) return;
    const [actions, scopes] = [lacking.map(({ action }) => action), lacking.map(({ scope }) => scope)];
    throw new ServiceError(
      403,
      "LinkedAuthorizationFailed",
      `The client '${principal}' with object id '${principal}' has permission to perform action '${own.action}' on scope '${own.scope}'; however, it does not have permission to perform action(s) '${actions.join(",")}' on the linked scope(s) '${scopes.join(",")}' (respectively) or the linked scope(s) are invalid.`,
    );
  }

  #allows(principal: string, { action, scope }: Need): boolean {
    note(this.#asked, principal, action);
    const allowed = this.#assignments.some(
      (one) =>
        one.principal === principal &&
        (isWithin(scope, one.scope) || (operations.test(action) && isWithin(one.scope, scope))) &&
        allowsAction(one.role, action),
    );
    if (!allowed) note(this.#refused, principal, action);
    return allowed;
  }
}

/** The action that a request is, and where. */
export function needOf(method: string, path: string): Need {
  const at = path.toLowerCase().lastIndexOf("/providers/");
  if (at < 0) return { action: `Microsoft.Resources/${groupType(path)}/${verbOf(method)}`, scope: path };
  const [provider = "", ...rest] = path.slice(at + "/providers/".length).split("/");
  // Types and names take turns; a POST ends in what is to be done.
  const types = rest.filter((_, index) => index % 2 === 0);
  if (method !== "POST")
    return { action: `${provider}/${types.join("/")}/${verbOf(method)}`, scope: scopeOf(path, at) };
  return {
    action: `${provider}/${types.join("/")}/action`,
    scope: path.slice(0, path.lastIndexOf("/")),
  };
}

function verbOf(method: string): "read" | "write" | "delete" {
  if (method === "DELETE") return "delete";
  return method === "PUT" || method === "PATCH" ? "write" : "read";
}

function groupType(path: string): string {
  return /^\/subscriptions\/[^/]+\/resourcegroups/i.test(path) ? "subscriptions/resourceGroups" : "subscriptions";
}

/** A list is of what it lies in; so is the state of an operation, which lies in the subscription. */
function scopeOf(path: string, at: number): string {
  const parts = path.slice(at + "/providers/".length).split("/").length - 1;
  return parts % 2 === 1 || /\/locations\/[^/]+\/(?:disk)?operations\//i.test(path) ? path.slice(0, at) : path;
}

function isWithin(scope: string, outer: string): boolean {
  return `${scope.toLowerCase()}/`.startsWith(`${outer.toLowerCase()}/`);
}

/** What is referred to by the body, as far as this region makes it. */
function linkedNeeds(method: string, path: string, body: Json): readonly Need[] {
  if (method !== "PUT" && method !== "PATCH") return [];
  const properties = asObject(body["properties"]);
  const { action } = needOf(method, path);
  switch (action.toLowerCase()) {
    case "microsoft.compute/snapshots/write":
    case "microsoft.compute/disks/write":
      return [
        // Answers of the service in Azure/OpenShift issue 186 and MicrosoftDocs/azure-docs issue 11362.
        ...needs("beginGetAccess/action", asObject(properties["creationData"])["sourceResourceId"]),
        // kubernetes-sigs/azuredisk-csi-driver pull request 2610.
        ...needs("read", asObject(properties["encryption"])["diskEncryptionSetId"]),
      ];
    case "microsoft.compute/virtualmachines/write":
      return [
        // "Microsoft.Network operations": "Joins a Virtual Machine to a network interface".
        ...idsOf(asObject(properties["networkProfile"])["networkInterfaces"]).flatMap((id) => needs("join/action", id)),
        // Azure/aad-pod-identity issue 613.
        ...Object.keys(asObject(asObject(body["identity"])["userAssignedIdentities"])).flatMap((id) =>
          needs("assign/action", id),
        ),
      ];
    case "microsoft.network/networkinterfaces/write":
      return interfaceNeeds(properties);
    default:
      return [];
  }
}

/** "Permissions of virtual networks": each of what a network interface joins. */
function interfaceNeeds(properties: Json): readonly Need[] {
  const joined = asList(properties["ipConfigurations"]).flatMap((configuration) => {
    const inner = asObject(configuration["properties"]);
    return [
      ...idsOf([inner["subnet"], inner["publicIPAddress"]]).flatMap((id) => needs("join/action", id)),
      ...idsOf(inner["loadBalancerBackendAddressPools"]).flatMap((id) => needs("join/action", id)),
      ...idsOf(inner["applicationSecurityGroups"]).flatMap((id) => needs("joinIpConfiguration/action", id)),
    ];
  });
  return [...idsOf([properties["networkSecurityGroup"]]).flatMap((id) => needs("join/action", id)), ...joined];
}

function idsOf(references: unknown): readonly string[] {
  return asList(references).flatMap((one) => asText(one["id"]) ?? []);
}

function needs(verb: string, id: unknown): readonly Need[] {
  if (typeof id !== "string" || !id.toLowerCase().includes("/providers/")) return [];
  const { action } = needOf("GET", id);
  return [{ action: `${action.slice(0, -"read".length)}${verb}`, scope: id }];
}

function note(notes: Map<string, Set<string>>, principal: string, action: string): void {
  const standing = notes.get(principal) ?? new Set();
  notes.set(principal, standing.add(action));
}
