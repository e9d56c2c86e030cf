/**
 * The keys of a vault (docs/vault-format.md, "Keys"). A data key per epoch; from each, HKDF-SHA-256 makes three. They are
 * KeyObjects, which print as nothing, so that no log or error text can show them (invariant I8).
 */
import { createSecretKey, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";

export interface EpochKeys {
  readonly id: KeyObject;
  readonly content: KeyObject;
  readonly manifest: KeyObject;
}

export type VaultKeys =
  | { readonly kind: "none" }
  | {
      readonly kind: "encrypted";
      /** By epoch, from 0 up. The last one writes. */
      readonly epochs: readonly [EpochKeys, ...EpochKeys[]];
      /** The data keys as the slots wrap them: needed only to write another slot. */
      readonly dataKeys: KeyObject;
    };

export const dataKeyBytes = 32;

/** `dataKeys`: 32 bytes for each epoch from 0 up, one after the other. */
export function deriveKeys(vaultId: string, dataKeys: Uint8Array): VaultKeys {
  const count = dataKeys.length / dataKeyBytes;
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`Data keys are a multiple of ${dataKeyBytes} bytes, not ${dataKeys.length}.`);
  }
  const epoch = (number: number): EpochKeys => {
    const dataKey = dataKeys.subarray(number * dataKeyBytes, (number + 1) * dataKeyBytes);
    const derive = (use: string) =>
      createSecretKey(new Uint8Array(hkdfSync("sha256", dataKey, vaultId, `farside/v1/${use}`, 32)));
    return { id: derive("id"), content: derive("content"), manifest: derive("manifest") };
  };
  const later = Array.from({ length: count - 1 }, (_, at) => epoch(at + 1));
  return { kind: "encrypted", epochs: [epoch(0), ...later], dataKeys: createSecretKey(dataKeys) };
}

/** The epoch that writes. */
export function currentEpoch(keys: VaultKeys): number {
  return keys.kind === "none" ? 0 : keys.epochs.length - 1;
}

/** The keys of an epoch; undefined where this vault has no such epoch, or no keys at all. */
export function keysOfEpoch(keys: VaultKeys, epoch: number): EpochKeys | undefined {
  return keys.kind === "none" ? undefined : keys.epochs[epoch];
}
