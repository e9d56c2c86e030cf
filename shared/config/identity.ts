/**
 * The settings that choose an identity, in the words of the Functions host, which reads some of them too: `X__clientId` and `X__credential`. A
 * setting that would be passed over in silence is a problem: it would say that another identity is used than is.
 */
import { defaultIdentity, type AzureIdentity } from "../core/azure-identity.ts";
import type { Environment, Problems } from "./problems.ts";
import { settingOf } from "./problems.ts";

const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Of a place that is reached by an identity. `others`: what else may stand behind `<place>__`. */
export function readIdentity(
  environment: Environment,
  place: string,
  problems: Problems,
  others: readonly string[] = [],
): AzureIdentity {
  for (const name of settingsOf(environment, place)) {
    const end = name.slice(place.length + 2);
    if (end === "clientId" || end === "credential" || others.includes(end)) continue;
    const known = [...others, "clientId", "credential"].map((one) => `${place}__${one}`).join(", ");
    problems.add(name, `is not known: there are ${known}.`);
  }
  const clientId = checkClientId(environment, place, problems);
  const chosen = clientId === undefined ? {} : { clientId };
  const credential = settingOf(environment, `${place}__credential`);
  if (credential === undefined) return { ...defaultIdentity, ...chosen };
  if (credential.toLowerCase() !== "managedidentity") {
    problems.add(
      `${place}__credential`,
      `is ${JSON.stringify(credential)}: set it to managedidentity, or remove it to try what else the process may be logged in as.`,
    );
  }
  return { kind: "managed", ...chosen };
}

/** Of a place that is reached by a key or a SAS: there an identity would never be used. */
export function refuseIdentity(environment: Environment, place: string, why: string, problems: Problems): void {
  for (const name of settingsOf(environment, place)) {
    if (/__(?:clientId|credential)$/i.test(name)) problems.add(name, `is set, but ${why}: remove it, or the other.`);
  }
}

/** Whether any setting chooses one. */
export function namesIdentity(environment: Environment, place: string): boolean {
  return settingsOf(environment, place).length > 0;
}

export function checkClientId(environment: Environment, place: string, problems: Problems): string | undefined {
  const setting = `${place}__clientId`;
  const text = settingOf(environment, setting);
  if (text === undefined || guid.test(text)) return text;
  return problems.add(
    setting,
    `is ${JSON.stringify(text)}: give the client id of a user-assigned identity, a GUID ("az identity show --query clientId"); not its name and not its resource id.`,
  );
}

function settingsOf(environment: Environment, place: string): readonly string[] {
  const start = `${place}__`;
  return Object.keys(environment)
    .filter((name) => name.startsWith(start) && settingOf(environment, name) !== undefined)
    .sort();
}
