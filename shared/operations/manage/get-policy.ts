import { FarsideError } from "../../core/errors.ts";
import type { PolicyName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Policy } from "../../core/policy.ts";
import type { Stored } from "../../ports/catalog.ts";
import type { Context } from "../context.ts";

/** Throws `not-found`. */
export async function getPolicy(
  context: Context,
  input: { readonly name: PolicyName },
  signal: AbortSignal,
): Promise<Stored<Policy>> {
  const stored = await context.catalog.policies.get(input.name, signal);
  if (stored !== undefined) return stored;
  throw new FarsideError(
    "not-found",
    `There is no policy ${quote(input.name)}: see "farside policy list", or make it with "farside policy set".`,
    { details: { policy: input.name } },
  );
}
