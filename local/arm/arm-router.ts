/** Finds the handler of a request by the templates of the specifications. Paths do not tell upper case from lower. */
import type { Route } from "./arm.ts";

interface Compiled {
  readonly route: Route;
  readonly pattern: RegExp;
}

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export class ArmRouter {
  readonly #routes: readonly Compiled[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, pattern: compile(route.template) }));
  }

  find(method: string, path: string): Match | undefined {
    for (const { route, pattern } of this.#routes) {
      const match = route.method === method ? pattern.exec(path) : null;
      if (match !== null) return { route, params: { ...match.groups } };
    }
    return undefined;
  }
}

function compile(template: string): RegExp {
  const parts = template.split("/").map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) return part.replaceAll(".", "\\.");
    // A scope is a path of its own: of a subscription, a resource group, a resource.
    return name === "scope" ? "(?<scope>.+)" : `(?<${name}>[^/]+)`;
  });
  return new RegExp(`^${parts.join("/")}$`, "i");
}

const actions = new Set([
  "instanceView",
  "extensions",
  "deallocate",
  "powerOff",
  "start",
  "runCommand",
  "beginGetAccess",
  "endGetAccess",
]);

/** What a request speaks of: its path without the action at the end. */
export function resourceId(path: string, template: string): string {
  return actions.has(template.split("/").at(-1) ?? "") ? path.slice(0, path.lastIndexOf("/")) : path;
}
