import fc from "fast-check";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Region } from "../../../../local/arm/region/region.ts";
import { propertiesOf, type Resource } from "../../../../local/arm/resources.ts";

let folder: string;
let journal: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-region-"));
  journal = join(folder, "region.journal");
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const idOf = (name: string): string => `/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/${name}`;

function resource(name: string, properties: Record<string, unknown> = {}): Resource {
  return { id: idOf(name), type: "Microsoft.Compute/disks", body: { name, properties } };
}

const change = fc.array(
  fc.record({ name: fc.constantFrom("a", "B", "c"), value: fc.option(fc.string(), { nil: undefined }) }),
  { minLength: 1, maxLength: 3 },
);

const stateOf = (region: Region): string => JSON.stringify(region.resources.all());

describe("A local region", () => {
  test("has all of a change or nothing of it, wherever the file ends, and goes on from there", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(), async (changes, cutAt) => {
        await rm(folder, { recursive: true });
        const first = await Region.open(folder);
        const states = new Map([[(await stat(journal)).size, stateOf(first)]]);
        for (const steps of changes) {
          for (const { name, value } of steps) {
            if (value === undefined) first.resources.remove(idOf(name));
            else first.resources.put(resource(name, { value }));
          }
          await first.commit();
          states.set((await stat(journal)).size, stateOf(first));
        }
        const sizes = [...states.keys()];
        const [least = 0, most = 0] = [sizes.at(0), sizes.at(-1)];
        const end = least + (cutAt % (most - least + 1));
        await truncate(journal, end);
        const second = await Region.open(folder);
        expect(stateOf(second)).toBe(states.get(sizes.findLast((size) => size <= end) ?? 0));
        second.resources.put(resource("after"));
        await second.close();
        const third = await Region.open(folder);
        expect(third.resources.get(idOf("AFTER"))?.body["name"]).toBe("after");
        await third.close();
        await first.close();
      }),
      {
        numRuns: 60,
        // Removed and made anew in one change: it is the newest then.
        examples: [
          [
            [
              [
                { name: "a", value: undefined },
                { name: "B", value: "" },
                { name: "a", value: "" },
              ],
              [{ name: "a", value: undefined }],
            ],
            251_568_009,
          ],
          [
            [
              [
                { name: "a", value: "1" },
                { name: "B", value: "" },
              ],
              [
                { name: "a", value: undefined },
                { name: "a", value: "2" },
              ],
            ],
            251_568_009,
          ],
        ],
      },
    );
  });

  test("is not started on a journal that is damaged in its middle, and says where", async () => {
    const first = await Region.open(folder);
    for (const name of ["a", "b"]) {
      first.resources.put(resource(name));
      await first.commit();
    }
    await first.close();
    const text = await readFile(journal, "utf8");
    await writeFile(journal, text.replace('"name":"a"', '"name":"x"'));
    await expect(Region.open(folder)).rejects.toThrow(/region\.journal is damaged at line 2/);
  });

  test("keeps its journal small however often it changes", async () => {
    const first = await Region.open(folder);
    const text = "x".repeat(100_000);
    for (let n = 0; n < 100; n++) {
      first.resources.put(resource("a", { n, text }));
      await first.commit();
    }
    expect((await stat(journal)).size).toBeLessThan(5 * 1024 ** 2);
    await first.close();
    const second = await Region.open(folder);
    expect(propertiesOf(second.resources.require(idOf("a")))["n"]).toBe(99);
    await second.close();
  });

  test("calls failed what was being made when its process ended, and leaves the rest as it was", async () => {
    const first = await Region.open(folder);
    first.resources.put(resource("made", { provisioningState: "Succeeded", diskState: "ActiveUpload" }));
    first.resources.put(resource("being-made", { provisioningState: "Creating" }));
    first.resources.put(resource("being-changed", { provisioningState: "Updating" }));
    await first.commit();
    const second = await Region.open(folder);
    expect(second.resources.all().map((one) => propertiesOf(one)["provisioningState"])).toEqual([
      "Succeeded",
      "Failed",
      "Failed",
    ]);
    expect(propertiesOf(second.resources.require(idOf("made")))["diskState"]).toBe("ActiveUpload");
    await second.close();
    await first.close();
  });

  test("gives the room of a disk back when it and the last snapshot of it are gone, and that of what was left half made", async () => {
    const first = await Region.open(folder);
    const disk = first.store.create(4096);
    await first.store.write(disk, 0, new Uint8Array(512).fill(1));
    const taken = first.store.snapshot(disk);
    first.resources.put({ ...resource("disk"), bytes: taken.disk });
    // Whatever a handler calls the bytes of a resource.
    first.resources.put(Object.assign(resource("snapshot"), { state: taken.snapshot }));
    await first.commit();
    first.resources.remove(idOf("disk"));
    await first.commit();
    expect(await readdir(join(folder, "disks"))).toHaveLength(2);
    expect(await first.store.read(taken.snapshot, 0, 512)).toEqual(new Uint8Array(512).fill(1));
    const again = await Region.open(folder);
    expect(again.resources.get(idOf("snapshot"))).toHaveProperty("state", taken.snapshot);
    await again.close();
    first.resources.remove(idOf("snapshot"));
    await first.commit();
    expect(await readdir(join(folder, "disks"))).toEqual([]);
    // Its resource was never put.
    await first.store.write(first.store.create(4096), 0, new Uint8Array(512));
    expect(await readdir(join(folder, "disks"))).toHaveLength(2);
    const second = await Region.open(folder);
    expect(await readdir(join(folder, "disks"))).toEqual([]);
    await second.close();
    await first.close();
  });

  test("removes no disk where its journal is gone, and says so", async () => {
    const first = await Region.open(folder);
    first.resources.put({ ...resource("disk"), bytes: first.store.create(4096) });
    await first.close();
    await rm(journal);
    await expect(Region.open(folder)).rejects.toThrow(/has disks but no region\.journal/);
    expect(await readdir(join(folder, "disks"))).toHaveLength(1);
  });
});
