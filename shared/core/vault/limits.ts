/** The numbers of docs/vault-format.md, in one place. */
export const defaultChunkSizeBytes = 1024 * 1024;
export const allowedChunkSizesBytes: readonly number[] = [256, 512, 1024, 2048, 4096].map((kib) => kib * 1024);
/** Chunk ids in a segment. */
export const segmentChunks = 1024;

/** Disk indexes: 64 TiB (the biggest Azure disk is 65,536 GiB) in chunks of 256 KiB are 262,144 segments, 8 MiB of ids. */
export const maxDiskIndexBytes = 16 * 1024 * 1024;
/** Documents: the captured configuration of a VM is some 10 KiB of JSON. */
export const maxDocumentBytes = 4 * 1024 * 1024;
/** Manifests, seals, tombstones, vault.json and key slots are read whole; none comes near. */
export const maxManifestBytes = 4 * 1024 * 1024;
export const maxSmallDocumentBytes = 64 * 1024;
/** More slots than this are an attack on the patience of whoever opens the vault: each costs a scrypt. */
export const maxKeySlots = 64;

const hourMs = 3_600_000;
/** M: the longest session, from its first write to its commit. */
export const longestSessionMs = 24 * hourMs;
/** R: a chunk found present is reused as it is only this long after its last write or refresh. */
export const reuseWindowMs = 7 * 24 * hourMs;
export const marginMs = hourMs;
/** D = R + M + margin: how old garbage must be. */
export const collectionDelayMs = reuseWindowMs + longestSessionMs + marginMs;
