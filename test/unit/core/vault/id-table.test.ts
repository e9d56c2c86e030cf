import * as fc from "fast-check";
import { expect, test } from "vitest";
import { IdTable } from "../../../../shared/core/vault/id-table.ts";
import { objectIdBytes, parseObjectId } from "../../../../shared/core/vault/object-id.ts";

test("A table of ids keeps each id once with the length that it was added with first, however it grows", () => {
  // Ids from few bits, so that many meet in the same places of the table.
  const id = fc
    .tuple(fc.nat(40), fc.nat(3))
    .map(([a, b]) => parseObjectId(Buffer.alloc(32, Buffer.of(a, b)).toString("hex")));
  fc.assert(
    fc.property(fc.array(fc.record({ id, length: fc.integer({ min: 1, max: 100 }) }), { maxLength: 400 }), (adds) => {
      const table = new IdTable(4);
      const model = new Map<string, number>();
      for (const { id, length } of adds) {
        const first = model.get(id) ?? length;
        model.set(id, first);
        expect(table.add(objectIdBytes(id), length)).toBe(first);
      }
      expect(table.count).toBe(model.size);
      expect(table.perFirstByte.reduce((sum, count) => sum + count, 0)).toBe(model.size);
      expect(new Map(table.without("seen").map((entry) => [entry.id as string, entry.plainBytes]))).toEqual(model);
      for (const { id } of adds.slice(0, 5)) {
        table.mark(objectIdBytes(id), "seen");
        model.delete(id);
      }
      expect(new Set(table.without("seen").map((entry) => entry.id as string))).toEqual(new Set(model.keys()));
      expect(table.lengthOf(Buffer.alloc(32, 255))).toBeUndefined();
    }),
  );
});
