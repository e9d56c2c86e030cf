import { expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { World } from "../support/simulation/world.ts";

test("A commit that is refused something after its manifest stands has succeeded all the same", async () => {
  const world = await World.create();
  await world.addPolicy("standard");
  await world.addVm("web", { disks: { os: 1024 * 1024 } });
  world.scribble("web", "os", 0);
  const create = world.store.create.bind(world.store);
  let refused = 0;
  world.store.create = (name, content, signal) => {
    if (!name.endsWith("/seal.json") || refused++ > 0) return create(name, content, signal);
    return Promise.reject(new FarsideError("forbidden", "The service refused the access."));
  };
  expect(await world.backUp("web")).toMatchObject({ state: "succeeded" });
  expect(refused).toBeGreaterThan(1);
  // Sealed by the reconciler.
  expect(await breaches(world)).toEqual([]);
});
