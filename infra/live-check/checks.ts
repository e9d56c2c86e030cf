/** The questions, in the order in which they are asked: what removes something comes last. docs/azure.md holds the same list. */
import type { Check } from "./check.ts";
import { endWithoutAccess } from "./checks/end-without-access.ts";
import { errorCodes } from "./checks/error-codes.ts";
import { footer } from "./checks/footer.ts";
import { guestState } from "./checks/guest-state.ts";
import { pages } from "./checks/pages.ts";
import { pointWhileDeleting } from "./checks/point-while-deleting.ts";
import { preparedSecure } from "./checks/prepared-secure.ts";
import { readThroughput } from "./checks/read-throughput.ts";
import { repeatedAccess } from "./checks/repeated-access.ts";
import { restorePointDiff } from "./checks/restore-point-diff.ts";
import { sectors4k } from "./checks/sectors-4k.ts";
import { snapshotAndPoint } from "./checks/snapshot-and-point.ts";
import { uploadBounds } from "./checks/upload-bounds.ts";
import { vaultCondition } from "./checks/vault-condition.ts";

export const checks: readonly Check[] = [
  restorePointDiff,
  snapshotAndPoint,
  pages,
  footer,
  readThroughput,
  repeatedAccess,
  endWithoutAccess,
  errorCodes,
  sectors4k,
  guestState,
  preparedSecure,
  uploadBounds,
  vaultCondition,
  pointWhileDeleting,
];
