import { describe, expect, test } from "vitest";
import { parsePointId } from "../../../../shared/core/ids.ts";
import { findChainBreaks } from "../../../../shared/core/vault/chain.ts";
import type { ChainLink } from "../../../../shared/core/vault/chain.ts";

const point = (number: number) => parsePointId(`01M7YHYXK06QW0SEJP83TBN2R${number}`);
const manifest = (number: number, previous?: number, keyEpoch = 0): ChainLink => ({
  pointId: point(number),
  kind: "manifest",
  mac: `mac${number}`,
  keyEpoch,
  ...(previous === undefined ? {} : { previousMac: `mac${previous}` }),
});
const tombstone = (number: number): ChainLink => ({ pointId: point(number), kind: "tombstone", mac: `mac${number}` });
const damaged = (number: number): ChainLink => ({ pointId: point(number), kind: "damaged" });
const broken = (...links: ChainLink[]) => findChainBreaks(links).map(({ pointId }) => Number(pointId.slice(-1)));

describe("The chain of a VM's restore points", () => {
  test("is whole where each follows the one before it, or its tombstone", () => {
    expect(broken()).toEqual([]);
    expect(broken(manifest(1))).toEqual([]);
    expect(broken(manifest(1), manifest(2, 1), manifest(3, 2))).toEqual([]);
    expect(broken(manifest(1), tombstone(2), manifest(3, 2))).toEqual([]);
    expect(broken(tombstone(2), manifest(3, 2), manifest(4, 3, 1))).toEqual([]);
  });

  test("is broken where one was taken away without a tombstone", () => {
    expect(broken(manifest(2, 1))).toEqual([2]);
    expect(broken(manifest(1), manifest(3, 2))).toEqual([3]);
    expect(broken(tombstone(1), manifest(3, 2))).toEqual([3]);
  });

  test("is broken where one was put in between, or one says it is the first and is not", () => {
    expect(broken(manifest(1), manifest(2, 1), manifest(3, 1))).toEqual([3]);
    expect(broken(manifest(1), manifest(2))).toEqual([2]);
  });

  test("is broken where a manifest is signed by an older key than the one before it", () => {
    expect(broken(manifest(1, undefined, 1), manifest(2, 1, 0))).toEqual([2]);
  });

  test("is given the benefit of the doubt where a damaged one may be the link", () => {
    expect(broken(manifest(1), damaged(2), manifest(3, 2))).toEqual([]);
    expect(broken(manifest(1), damaged(2), manifest(3, 1))).toEqual([]);
    expect(broken(damaged(1), manifest(2))).toEqual([]);
  });
});
