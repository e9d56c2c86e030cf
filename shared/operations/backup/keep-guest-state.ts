/**
 * The firmware variables and the virtual TPM of a trusted-launch VM, kept with its OS disk. Without them what is sealed to the TPM (BitLocker's
 * key, say) is lost at a restore: a restore point that lacks them says so.
 */
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import type { DiskSnapshot } from "../../core/run.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import type { KeptGuestState } from "../../wire/work-blob.ts";
import type { Context } from "../context.ts";
import { recordEvent } from "../run/record-event.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { writeImage } from "../vault/write-image.ts";

/** Undefined for a disk that has none. Memory: its size. */
export async function keepGuestState(
  context: Context,
  scene: {
    readonly vault: OpenVault;
    readonly source: DiskSource;
    readonly run: BackupIn<"copying">;
    readonly snapshot: DiskSnapshot;
  },
  signal: AbortSignal,
): Promise<KeptGuestState | undefined> {
  const { vault, source, run, snapshot } = scene;
  if (snapshot.hasGuestState === undefined) return undefined;
  const given = await source.guestState?.(snapshot.reference, signal);
  if (given?.kind === "given") {
    const session = { startedAt: run.set.sessionStartedAt };
    const index = await writeImage(vault, given.content, session, signal);
    return { kind: "kept", index, sizeBytes: given.content.length };
  }
  const why = given?.why ?? "the source does not give it";
  const facts = { runId: run.runId, name: runEvents.guestStateNotKept, level: "warning" } as const;
  await recordEvent(context, { ...facts, message: notKept(why), fields: { disk: snapshot.disk } }, signal);
  return { kind: "not-kept", why };
}

/** For people. */
export function notKept(why: string): string {
  return `The virtual TPM's state was not kept, for ${why}: what is sealed to it, BitLocker's key for one, is lost at a restore.`;
}
