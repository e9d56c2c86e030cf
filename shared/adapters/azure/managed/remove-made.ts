/**
 * Removes a snapshot or a restore point: its access first, for the platform deletes nothing that is shared. The deletion itself is begun
 * and not waited for: where it fails at its end, the sweep finds what is left and tries again.
 */
import pLimit from "p-limit";
import { hasCode } from "../../../core/errors.ts";
import type { DiskAccess } from "./access.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions, requireParts } from "./arm-connection.ts";
import { diskPointModel, parseModel } from "./arm-models.ts";
import { begin } from "./begun-operation.ts";
import { pointOf, shownReference, type DiskReference } from "./disk-reference.ts";

/** Restore points whose removal this process has begun are remembered: each of their disks asks for it. */
const mostRemembered = 1000;
const givenBackAtOnce = 8;

export class MadeRemover {
  readonly #arm: () => Promise<ArmConnection>;
  readonly #access: DiskAccess;
  readonly #points = new Map<string, Promise<void>>();

  constructor(arm: () => Promise<ArmConnection>, access: DiskAccess) {
    this.#arm = arm;
    this.#access = access;
  }

  /** Done as well where it is already gone. */
  async remove(reference: DiskReference, signal: AbortSignal): Promise<void> {
    const arm = await this.#arm();
    try {
      if (reference.kind === "snapshot") await removeSnapshot(arm, this.#access, reference, signal);
      // Listed by itself, it is asked for anew: its removal may have failed.
      else if (reference.kind === "restore-point") await removePoint(arm, this.#access, reference.id, signal);
      else await this.#removeOnce(arm, pointOf(reference.id), signal);
    } catch (error) {
      if (!hasCode(error, "not-found")) throw error;
    }
  }

  async #removeOnce(arm: ArmConnection, id: string, signal: AbortSignal): Promise<void> {
    const key = id.toLowerCase();
    const standing = this.#points.get(key);
    if (standing !== undefined) return standing;
    const removing = removePoint(arm, this.#access, id, signal);
    this.#points.set(key, removing);
    const [oldest] = this.#points.keys();
    if (this.#points.size > mostRemembered && oldest !== undefined) this.#points.delete(oldest);
    try {
      await removing;
    } catch (error) {
      this.#points.delete(key);
      throw error;
    }
  }

  /** They are still there, as a new list shows: a removal that was begun may have failed, and may be begun again. */
  seen(references: readonly DiskReference[]): void {
    for (const { kind, id } of references)
      if (kind === "disk-restore-point") this.#points.delete(pointOf(id).toLowerCase());
  }
}

async function removeSnapshot(
  arm: ArmConnection,
  access: DiskAccess,
  reference: DiskReference,
  signal: AbortSignal,
): Promise<void> {
  await access.giveBack(reference, signal);
  const { subscriptionId, resourceGroup, path } = requireParts(reference.id);
  const [, name = ""] = path[0] ?? [];
  const deleting = arm.compute(subscriptionId).snapshots.delete(resourceGroup, name, { abortSignal: signal });
  await begin(deleting, `remove ${shownReference(reference)}`, signal);
}

async function removePoint(arm: ArmConnection, access: DiskAccess, id: string, signal: AbortSignal): Promise<void> {
  const disks: DiskReference[] = [];
  const query = { "api-version": apiVersions.disk };
  for await (const raw of arm.list(`${id}/diskRestorePoints`, query, "list the disks of a restore point", signal)) {
    disks.push({ kind: "disk-restore-point", id: parseModel(diskPointModel, raw, "a disk of a restore point").id });
  }
  // A second or two each: of 32 disks one after the other, a minute.
  const limit = pLimit(givenBackAtOnce);
  const givenBack = await Promise.allSettled(disks.map((disk) => limit(() => access.giveBack(disk, signal))));
  for (const result of givenBack) if (result.status === "rejected") throw result.reason;
  const { subscriptionId, resourceGroup, path } = requireParts(id);
  const [collection = "", point = ""] = path.map(([, name]) => name);
  const deleting = arm
    .compute(subscriptionId)
    .restorePoints.delete(resourceGroup, collection, point, { abortSignal: signal });
  await begin(deleting, `remove the restore point ${point}`, signal);
}
