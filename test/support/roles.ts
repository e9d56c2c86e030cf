/** The role definitions of `infra/roles`, and smaller ones made of them. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseRoleDefinition, type RoleDefinition } from "../../local/arm/role-definition.ts";

const folder = "infra/roles";

export function roleNames(): readonly string[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));
  return files.map((file) => basename(file, ".json")).sort();
}

export function readRole(name: string): RoleDefinition {
  return parseRoleDefinition(readFileSync(join(folder, `${name}.json`), "utf8"));
}

/** The condition that an assignment of the role carries; undefined where it needs none. */
export function readCondition(name: string): string | undefined {
  try {
    return readFileSync(join(folder, "conditions", `${name}.txt`), "utf8");
  } catch {
    return undefined;
  }
}

/** The role with one of its actions taken away. */
export function without(role: RoleDefinition, action: string): RoleDefinition {
  return { ...role, NotActions: [action], NotDataActions: [action] };
}

/** For whoever sets the stage. */
export const everything: RoleDefinition = {
  Name: "Everything",
  IsCustom: true,
  Description: "For whoever sets the stage.",
  Actions: ["*"],
  NotActions: [],
  DataActions: ["*"],
  NotDataActions: [],
  AssignableScopes: ["/"],
};
