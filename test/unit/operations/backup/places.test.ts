import { describe, expect, test } from "vitest";
import { createPlaces } from "../../../../shared/operations/backup/places.ts";

describe("Places", () => {
  test("are never more in use than there are, and every work is done in its order", async () => {
    const places = createPlaces(4);
    let used = 0;
    let most = 0;
    const order: number[] = [];
    await Promise.all(
      [3, 2, 4, 9, 1, 1, 2].map((wanted, i) =>
        places.take(wanted, async () => {
          order.push(i);
          used += Math.min(wanted, 4);
          most = Math.max(most, used);
          await Promise.resolve();
          used -= Math.min(wanted, 4);
        }),
      ),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(most).toBe(4);
  });

  test("are given back by work that fails", async () => {
    const places = createPlaces(1);
    await expect(places.take(1, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(places.take(1, () => Promise.resolve("yes"))).resolves.toBe("yes");
  });
});
