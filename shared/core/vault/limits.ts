/** The numbers of docs/vault-format.md, in one place. */
export const defaultChunkSizeBytes = 1024 * 1024;
export const allowedChunkSizesBytes: readonly number[] = [256, 512, 1024, 2048, 4096].map((kib) => kib * 1024);
/** Chunk ids in a segment. */
export const segmentChunks = 1024;

const hourMs = 3_600_000;
/** M: the longest session, from its first write to its commit. */
export const longestSessionMs = 24 * hourMs;
/** R: a chunk found present is reused as it is only this long after its last write or refresh. */
export const reuseWindowMs = 7 * 24 * hourMs;
export const marginMs = hourMs;
/** D = R + M + margin: how old garbage must be. */
export const collectionDelayMs = reuseWindowMs + longestSessionMs + marginMs;
