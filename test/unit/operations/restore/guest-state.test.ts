import { expect, test } from "vitest";
import { vmIdOf } from "../../../../shared/core/vm.ts";
import { parseVmName } from "../../../../shared/core/ids.ts";
import { readImage } from "../../../../shared/adapters/memory/sparse-image.ts";
import { guestStateOf } from "../../../../shared/operations/restore/guest-state.ts";
import { newestRestorePoint } from "../../../../shared/operations/vault/list-restore-points.ts";
import { managedVm } from "../../../support/simulation/machine-scenarios.ts";

test("The guest state of a disk is read whole, as it was backed up; a disk without one has none", async () => {
  const world = await managedVm();
  const point = await newestRestorePoint(world.vault, vmIdOf(parseVmName("web")), world.signal);
  const [os, data] = point?.manifest.disks ?? [];
  if (os === undefined || data === undefined) throw new Error("The point has two disks.");
  expect(guestStateOf(world.vault, os)).toBeUndefined();
  const { index, sizeBytes } = data;
  const state = guestStateOf(world.vault, { ...os, guestState: { index, sizeBytes } });
  const held = world.source.everMade(data.snapshot);
  expect(state?.sizeBytes).toBe(sizeBytes);
  expect(
    held && Buffer.from(readImage(held, 0, sizeBytes)).equals((await state?.read(world.signal)) ?? Buffer.alloc(0)),
  ).toBe(true);
});
