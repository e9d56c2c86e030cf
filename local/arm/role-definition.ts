/** Role definitions of Azure as they are kept in `infra/roles`, and what they allow. Actions do not tell upper case from lower; `*` stands for anything. */
import { z } from "zod";

const actions = z.array(z.string());

/** The format of `az role definition create`. */
const definition = z.strictObject({
  Name: z.string().min(1),
  IsCustom: z.literal(true),
  Description: z.string().min(1),
  Actions: actions,
  NotActions: actions,
  DataActions: actions,
  NotDataActions: actions,
  AssignableScopes: z.array(z.string()).min(1),
});

export type RoleDefinition = Readonly<z.output<typeof definition>>;

/** Throws where the text is no role definition. */
export function parseRoleDefinition(text: string): RoleDefinition {
  return definition.parse(JSON.parse(text));
}

export function allowsAction(role: RoleDefinition, action: string): boolean {
  return role.Actions.some(matches(action)) && !role.NotActions.some(matches(action));
}

export function allowsDataAction(role: RoleDefinition, action: string): boolean {
  return role.DataActions.some(matches(action)) && !role.NotDataActions.some(matches(action));
}

function matches(action: string): (pattern: string) => boolean {
  return (pattern) => {
    const parts = pattern.split("*").map((part) => part.replaceAll(/[.\\+?^${}()|[\]]/g, String.raw`\$&`));
    return new RegExp(`^${parts.join(".*")}$`, "i").test(action);
  };
}
