import { FarsideError } from "../../shared/core/errors.ts";

/** What was given and means nothing here is told, not passed over. */
export function refuse(owner: string, flags: Readonly<Record<string, unknown>>): void {
  for (const [flag, value] of Object.entries(flags)) {
    if (value !== undefined) throw new FarsideError("bad-input", `${flag} belongs to ${owner}: leave it out.`);
  }
}
