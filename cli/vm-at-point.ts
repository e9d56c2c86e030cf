/** `VM` or `VM@POINT`, as people name a restore point; without a point it is the latest. */
import { FarsideError } from "../shared/core/errors.ts";

export interface VmAtPoint {
  /** A VM's name, or its id in the vault. */
  readonly vm: string;
  /** A restore point's id, or `latest`. */
  readonly point: string;
}

/** Throws `bad-input`. Neither names nor ids have an `@` in them. */
export function parseVmAtPoint(text: string): VmAtPoint {
  const [vm = "", point = "latest", ...more] = text.split("@");
  if (vm !== "" && point !== "" && more.length === 0) return { vm, point };
  throw new FarsideError(
    "bad-input",
    `${JSON.stringify(text)} names no restore point: write VM or VM@POINT, like web1 or web1@latest.`,
  );
}
