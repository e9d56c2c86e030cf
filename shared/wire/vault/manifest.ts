import { z } from "zod";
import { consistencyLevels } from "../../core/consistency.ts";
import { FarsideError } from "../../core/errors.ts";
import {
  parseAttemptId,
  parseDiskName,
  parsePointId,
  parsePolicyName,
  parseRunId,
  parseVmId,
  parseVmName,
} from "../../core/ids.ts";
import { corrupt } from "../../core/vault/corrupt.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import type { JsonObject } from "./document.ts";
import {
  checkDocument,
  countSchema,
  epochSchema,
  macSchema,
  objectIdSchema,
  parsedString,
  parseCanonicalObject,
  timestampSchema,
  vaultIdSchema,
} from "./document.ts";

const consistency = z.enum(consistencyLevels);

const disk = z.looseObject({
  name: parsedString(parseDiskName),
  lun: countSchema.optional(),
  role: z.enum(["os", "data"]),
  sizeBytes: z.int().min(1),
  logicalSectorSize: z.int().min(1),
  identity: z.string(),
  index: objectIdSchema,
  snapshotAt: timestampSchema,
  snapshot: z.record(z.string(), z.string()),
  guestState: z.looseObject({ index: objectIdSchema, sizeBytes: z.int().min(1) }).optional(),
  mode: z.enum(["full", "incremental"]),
  changedBytes: countSchema,
  newChunks: countSchema,
  storedBytes: countSchema,
});

/** Loose: a later release may add fields, and the `mac` covers what it added. */
const schema = z.looseObject({
  formatVersion: z.literal(1),
  vaultId: vaultIdSchema,
  vmId: parsedString(parseVmId),
  vmName: parsedString(parseVmName),
  pointId: parsedString(parsePointId),
  runId: parsedString(parseRunId),
  attemptId: parsedString(parseAttemptId),
  parentPointId: parsedString(parsePointId).optional(),
  sessionStartedAt: timestampSchema,
  snapshotAt: timestampSchema,
  committedAt: timestampSchema,
  trigger: z.enum(["schedule", "on-demand"]),
  policy: parsedString(parsePolicyName).optional(),
  consistency: z.looseObject({
    requested: consistency,
    achieved: consistency,
    frozenAt: timestampSchema.optional(),
    thawedAt: timestampSchema.optional(),
    skewMs: countSchema,
    note: z.string().optional(),
  }),
  safety: z.looseObject({ usnRollbackRisk: z.boolean(), note: z.string().optional() }),
  source: z.object({ kind: z.enum(["page-blob", "file", "managed"]) }).catchall(z.string()),
  configuration: objectIdSchema,
  disks: z
    .array(disk)
    .min(1)
    .refine((disks) => new Set(disks.map((one) => one.name)).size === disks.length, "names a disk twice"),
  tool: z.looseObject({ name: z.string(), version: z.string() }),
  keyEpoch: epochSchema,
  previousMac: macSchema.optional(),
  mac: macSchema,
});

/** The stored document as it stands: what its `mac` applies to. Throws `vault-corrupt`. */
export function parseManifestDocument(object: string, bytes: Uint8Array): JsonObject {
  const document = parseCanonicalObject(object, bytes);
  const { formatVersion } = document;
  if (typeof formatVersion === "number" && formatVersion !== 1) {
    throw new FarsideError(
      "vault-version-unknown",
      `${object} has format version ${formatVersion}, and this release knows version 1: use a release that knows it.`,
      { details: { object, version: formatVersion, known: [1] } },
    );
  }
  return document;
}

/** The fields of a manifest, once its `mac` has been found right. Throws `vault-corrupt`. */
export function parseManifest(object: string, document: JsonObject): Manifest {
  const manifest = checkDocument(object, document, schema) as unknown as Manifest;
  if (manifest.parentPointId === manifest.pointId) {
    throw corrupt({ object, reason: "bad-field", found: "parentPointId" }, "it names itself as its parent");
  }
  return manifest;
}
