import { beforeAll, describe, expect, test } from "vitest";
import { FarsideError } from "../../../shared/core/errors.ts";
import { parseVmId } from "../../../shared/core/ids.ts";
import type { PointId } from "../../../shared/core/ids.ts";
import { objectName } from "../../../shared/core/vault/object-id.ts";
import { listRestorePoints, readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { openVault } from "../../../shared/operations/vault/open-vault.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import { diskSegments, readDiskIndex, readSegment } from "../../../shared/operations/vault/read-disk.ts";
import { verifyVault } from "../../../shared/operations/vault/verify-vault.ts";
import type { Finding } from "../../../shared/operations/vault/findings.ts";
import { exhibits, names } from "../../fixtures/vaults/damaged.ts";
import type { AffectedExpectation, Exhibit } from "../../fixtures/vaults/damaged.ts";
import { loadedAtMs, loadVault, storeOf } from "../../fixtures/vaults/load.ts";
import { passphrase, seededRandom, signal } from "../../support/vault/vault-fixture.ts";

const vmId = parseVmId("web01-0a1b");
const random = seededRandom("museum");
const whole = new Map<string, OpenVault>();
const points: PointId[] = [];

beforeAll(async () => {
  for (const name of ["tiny", "tiny-unencrypted"] as const) {
    const secret = name === "tiny" ? { passphrase } : {};
    const vault = await openVault({ store: await storeOf(loadVault(name)), random, ...secret }, signal);
    whole.set(name, vault);
    for (const [at, { pointId }] of (await listRestorePoints(vault, vmId, signal)).entries()) {
      points[at] = pointId;
      const point = await readManifest(vault, vmId, pointId, signal);
      for (const disk of point.kind === "standing" ? point.manifest.disks : []) {
        for (const segment of diskSegments(await readDiskIndex(vault, disk, signal))) {
          names.set(`${name}/${at}/${disk.name}/segment/${segment.number}`, objectName("segment", segment.id));
          for (const [place, id] of (await readSegment(vault, segment, signal)).entries()) {
            names.set(`${name}/${at}/${disk.name}/${segment.number * 1024 + place}`, objectName("data", id));
          }
        }
      }
    }
  }
});

async function exhibit({ base = "tiny", damage, copiedAt }: Exhibit) {
  const key = whole.get(base);
  if (key === undefined) throw new Error(`no vault ${base}`);
  const blobs = loadVault(base);
  damage(blobs, key);
  const nowMs = copiedAt === undefined ? loadedAtMs : Date.parse(copiedAt);
  return { key, store: await storeOf(blobs, nowMs), secret: base === "tiny" ? { passphrase } : {} };
}

function seen(findings: readonly Finding[]): unknown[] {
  return findings.map(({ code, reason, severity }) => ({ code, reason, severity })).sort(byText);
}

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

function affectedOf(finding: Finding): unknown[] {
  return finding.affected.map(({ pointId, disk, ranges }) => ({
    point: points.indexOf(pointId),
    ...(disk === undefined ? {} : { disk }),
    ranges: ranges.map(({ fromByte, toByte }) => [fromByte, toByte]),
  }));
}

describe("The museum of damaged vaults: a vault", () => {
  test.each(exhibits.filter((one) => one.findings !== undefined))("$title", async (one) => {
    const { store, key, secret } = await exhibit(one);
    // Most damage does not touch the keys: the key of the whole vault saves the time of opening.
    const opens = one.findings?.some(({ code }) => code === "key-slot-corrupt") === true;
    const vault = opens ? await openVault({ store, random, ...secret }, signal) : { ...key, store };

    const look = await verifyVault(vault, { parallelism: 3 }, signal);
    const read = await verifyVault(vault, { parallelism: 3, readData: true }, signal);
    const wanted = (one.findings ?? []).map(({ code, reason, severity = "error" }) => ({ code, reason, severity }));
    expect(seen(read.findings)).toEqual(wanted.sort(byText));
    expect(seen(look.findings)).toEqual(one.onlyByReading === true ? [] : wanted);
    const places = (one.findings ?? []).flatMap(({ affected }): readonly AffectedExpectation[][] =>
      affected === undefined ? [] : [[...affected]],
    );
    const found = read.findings.map(affectedOf);
    for (const place of places) expect(found).toContainEqual(place);
    for (const finding of read.findings) expect(finding.message).toContain(finding.object);
  });

  test.each(exhibits.filter((one) => one.opening !== undefined))("$title, which must not open", async (one) => {
    const { store, secret } = await exhibit(one);
    const opening = openVault({ store, random, ...secret }, signal);
    const error: unknown = await opening.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(FarsideError);
    expect(error).toMatchObject({ code: one.opening?.code });
    expect((error as FarsideError).details["reason"]).toBe(one.opening?.reason);
  });

  test("is shown once each", () => {
    expect(new Set(exhibits.map((one) => one.title)).size).toBe(exhibits.length);
    expect(exhibits.every((one) => (one.opening === undefined) !== (one.findings === undefined))).toBe(true);
  });
});
