import { FarsideError } from "../core/errors.ts";
import type { MachineTarget } from "../ports/machine-target.ts";

/** Where the platform is not asked to make anything. */
export const noMachines: MachineTarget = {
  preflight: refuse,
  prepare: refuse,
  write: refuse,
  finish: refuse,
  takeBack: () => Promise.resolve({ kind: "gone", left: [] }),
};

function refuse(): Promise<never> {
  return Promise.reject(
    new FarsideError(
      "not-supported",
      "This release restores to a container or a file: give --to-container or --to-file.",
    ),
  );
}
