/**
 * Everything that is needed to make a VM again, as ARM tells it: a restore point of the platform knows neither network nor zone, identity,
 * plan, tags nor extensions.
 *
 * 1. No secrets. ARM does not give passwords, protected settings or custom data; what by its name could be one is left out all the same.
 * 2. What a VM is without and could be made again without (an address that cannot be read) does not keep it from being backed up: it
 *    is named under `missing`.
 * 3. Disks that the backup leaves out are among `disks` like all others, and under `excludedDisks` with the reason: whoever makes the VM again
 *    has no bytes of them.
 */
import { FarsideError } from "../../../core/errors.ts";
import { resourceParts, type VmResourceId } from "../../../core/resource-id.ts";
import { z } from "zod";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions } from "./arm-connection.ts";
import { parseModel, type VmModel } from "./arm-models.ts";
import type { LeftManagedDisk } from "./vm-disks.ts";

interface Facts {
  readonly resourceId: VmResourceId;
  readonly raw: unknown;
  readonly vm: VmModel;
  readonly rawDisks: readonly unknown[];
  readonly left: readonly LeftManagedDisk[];
  /** Ids of disks that could not be read. */
  readonly unread: readonly string[];
}

type Plain = string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain };

const network = { "api-version": apiVersions.network };
const userDataModel = z.object({ properties: z.object({ userData: z.string().optional() }) });
const interfaceModel = z.object({
  properties: z.object({
    ipConfigurations: z
      .array(
        z.object({
          properties: z.object({ publicIPAddress: z.object({ id: z.string() }).optional() }).optional(),
        }),
      )
      .optional(),
  }),
});

export async function captured(
  arm: ArmConnection,
  { resourceId, raw, vm, rawDisks, left, unread }: Facts,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const missing: string[] = [...unread];
  const read = async (id: string, query: Readonly<Record<string, string>>): Promise<unknown> => {
    if (resourceParts(id) === undefined && !id.startsWith(resourceId)) return void missing.push(id);
    try {
      return await arm.get(id, query, "read what the VM is made of", signal);
    } catch (error) {
      if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
      return void missing.push(id);
    }
  };
  const compute = { "api-version": apiVersions.compute };
  const withUserData = await read(resourceId, { ...compute, $expand: "userData" });
  const userData =
    withUserData === undefined
      ? undefined
      : parseModel(userDataModel, withUserData, "the VM's user data").properties.userData;
  const extensions = await list(arm, `${resourceId}/extensions`, compute, missing, signal);
  const interfaces: unknown[] = [];
  const addresses: unknown[] = [];
  for (const { id } of vm.properties.networkProfile?.networkInterfaces ?? []) {
    const found = await read(id, network);
    if (found === undefined) continue;
    interfaces.push(found);
    const { ipConfigurations = [] } = parseModel(interfaceModel, found, "a network interface").properties;
    for (const { properties } of ipConfigurations) {
      const address = properties?.publicIPAddress?.id;
      const one = address === undefined ? undefined : await read(address, network);
      if (one !== undefined) addresses.push(one);
    }
  }
  return {
    kind: "managed",
    resourceId,
    vm: plain(withoutView(raw)) ?? {},
    ...(userData === undefined ? {} : { userData }),
    disks: plain(rawDisks) ?? [],
    ...(left.length === 0 ? {} : { excludedDisks: plain(left) ?? [] }),
    extensions: plain(extensions) ?? [],
    networkInterfaces: plain(interfaces) ?? [],
    publicIpAddresses: plain(addresses) ?? [],
    ...(missing.length === 0 ? {} : { missing }),
  };
}

async function list(
  arm: ArmConnection,
  id: string,
  query: Readonly<Record<string, string>>,
  missing: string[],
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  try {
    return await Array.fromAsync(arm.list(id, query, "list the VM's extensions", signal));
  } catch (error) {
    if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
    missing.push(id);
    return [];
  }
}

/** What the VM is going through now is not part of what it is. */
function withoutView(raw: unknown): unknown {
  if (!isObject(raw) || !isObject(raw["properties"])) return raw;
  const { instanceView: _, ...properties } = raw["properties"];
  return { ...raw, properties };
}

/** A name that could be of a secret. `secrets` of an OS profile are references, and cannot be given again with a specialised disk. */
const secretName =
  /password|secret|protectedsettings|customdata|accesskey|accountkey|connectionstring|sastoken|sasuri|accesssas/i;
const deepest = 32;

/** The document's own kinds of values: no fractions, no nothing; a fraction becomes its text. */
function plain(value: unknown, depth = 0): Plain | undefined {
  if (depth > deepest) return undefined;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : String(value);
  if (Array.isArray(value)) return value.flatMap((item) => plain(item, depth + 1) ?? []);
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value).flatMap(([key, item]): [string, Plain][] => {
    const kept = secretName.test(key) ? undefined : plain(item, depth + 1);
    return kept === undefined ? [] : [[key, kept]];
  });
  return Object.fromEntries(entries);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
