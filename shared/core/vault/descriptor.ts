/** vault.json: what a vault is. Written once, before anything else in the vault is; never changed. */
import type { Timestamp } from "../timestamp.ts";

export interface VaultDescriptor {
  readonly format: "farside-vault";
  readonly version: 1;
  readonly vaultId: string;
  readonly createdAt: Timestamp;
  readonly chunkSizeBytes: number;
  readonly segmentChunks: 1024;
  readonly compression: "zstd";
  readonly encryption: "aes-256-gcm" | "none";
}
