/** How Azure Resource Manager is reached: by the process's own identity, or a local stand-in for it. */
import type { AzureIdentity } from "../core/azure-identity.ts";
import { readIdentity } from "./identity.ts";
import type { Environment, Problems } from "./problems.ts";
import { settingOf } from "./problems.ts";

export type ArmAccess =
  | { readonly kind: "azure"; readonly identity: AzureIdentity }
  /** Gets no credential of Azure. */
  | {
      readonly kind: "local";
      readonly url: string;
      /** Whom its token names there; only tests say. */
      readonly principal?: string;
    };

const setting = "FARSIDE_LOCAL_ARM";

export function readArm(environment: Environment, problems: Problems): ArmAccess {
  const identity = readIdentity(environment, "FARSIDE_ARM", problems);
  const text = settingOf(environment, setting);
  if (text === undefined) return { kind: "azure", identity };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // On this machine alone: whoever answers there decides what is backed up.
  const isLocal = url?.protocol === "http:" && /^(?:127\.0\.0\.1|localhost|\[::1\])$/.test(url.hostname);
  if (!isLocal || url === undefined) {
    problems.add(
      setting,
      "is no address of this machine: set it to one like http://127.0.0.1:8085, or remove it to use Azure.",
    );
    return { kind: "azure", identity };
  }
  return { kind: "local", url: url.origin };
}
