/** Where VMs are looked for, and by which tag: nowhere, where nothing is set. */
import { parseDiscoveryScope, type DiscoveryScope } from "../core/discovery-scope.ts";
import { FarsideError } from "../core/errors.ts";
import type { Environment, Problems } from "./problems.ts";
import { settingOf } from "./problems.ts";

export interface DiscoverySettings {
  readonly scopes: readonly DiscoveryScope[];
  /** Its name, which does not tell upper case from lower. */
  readonly tag: string;
}

export const defaultDiscoveryTag = "farside-policy";
/** Each is listed at every tick. */
const mostScopes = 100;

export function readDiscovery(environment: Environment, problems: Problems): DiscoverySettings {
  return { scopes: readScopes(environment, problems), tag: readTag(environment, problems) };
}

function readScopes(environment: Environment, problems: Problems): readonly DiscoveryScope[] {
  const scopes = new Map<string, DiscoveryScope>();
  const texts = (settingOf(environment, "FARSIDE_DISCOVER") ?? "").split(",").filter((text) => text.trim() !== "");
  for (const text of texts) {
    try {
      const scope = parseDiscoveryScope(text);
      scopes.set(scope.toLowerCase(), scope);
    } catch (error) {
      if (!(error instanceof FarsideError)) throw error;
      problems.add("FARSIDE_DISCOVER", `is wrong: ${error.message}`);
    }
  }
  if (scopes.size > mostScopes)
    problems.add(
      "FARSIDE_DISCOVER",
      `names ${scopes.size} scopes, at most ${mostScopes} are looked at: name their subscriptions.`,
    );
  return [...scopes.values()];
}

function readTag(environment: Environment, problems: Problems): string {
  const tag = settingOf(environment, "FARSIDE_DISCOVERY_TAG");
  if (tag === undefined) return defaultDiscoveryTag;
  // What Azure takes as the name of a tag.
  if (tag.length > 512 || /[<>%&\\?/]/.test(tag)) {
    problems.add(
      "FARSIDE_DISCOVERY_TAG",
      `is ${JSON.stringify(tag.slice(0, 80))}: give up to 512 letters without < > % & \\ ? or /.`,
    );
  }
  return tag;
}
