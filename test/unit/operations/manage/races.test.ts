/** Two people at once: one wins and the other hears of it. */
import { describe, expect, test } from "vitest";
import type { Collection } from "../../../../shared/ports/catalog.ts";
import { parsePolicyName } from "../../../../shared/core/ids.ts";
import { removePolicy } from "../../../../shared/operations/manage/remove-policy.ts";
import { setPolicy } from "../../../../shared/operations/manage/set-policy.ts";
import { listPage } from "../../../../shared/operations/manage/list-page.ts";
import { samplePolicy } from "../../../support/sample-rows.ts";
import { createTestApp } from "../../../support/test-app.ts";

const signal = new AbortController().signal;
const { name, createdAt: _created, updatedAt: _updated, ...settings } = samplePolicy;

describe("A policy that two set at once", () => {
  test("is made by one; the other is told of a conflict", async () => {
    const { context } = createTestApp();
    const both = [1, 2].map((keepLast) =>
      setPolicy(context, { name, settings: { ...settings, retention: { keepLast } } }, signal),
    );
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(outcomes.find((outcome) => outcome.status === "rejected")).toMatchObject({ reason: { code: "conflict" } });
  });

  test("that is removed and set at once ends as one of the two", async () => {
    const { context, catalog } = createTestApp();
    await setPolicy(context, { name, settings }, signal);
    const outcomes = await Promise.allSettled([
      removePolicy(context, { name }, signal),
      setPolicy(context, { name, settings }, signal),
    ]);
    const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
    expect(won).toHaveLength(1);
    const stands = (await catalog.policies.get(name, signal)) !== undefined;
    expect(stands).toBe(outcomes[1]?.status === "fulfilled");
  });
});

test("A schedule's cursor goes with its policy, so that a new one does not catch up on the old one's slots", async () => {
  const { context, catalog } = createTestApp();
  await setPolicy(context, { name, settings }, signal);
  await catalog.scheduleCursors.insert({ policy: name, slot: samplePolicy.createdAt }, signal);
  await removePolicy(context, { name: parsePolicyName(name) }, signal);
  expect(await catalog.scheduleCursors.get(name, signal)).toBeUndefined();
});

test("A page that the service answers empty, with more to come, is never shown", async () => {
  const pages = [
    { items: [], continuation: "1" },
    { items: [], continuation: "2" },
    { items: [{ value: 7, etag: "" }] },
  ];
  const list: Collection<string, number, object>["list"] = ({ continuation }) => {
    const page = pages[Number(continuation ?? 0)];
    return page === undefined ? Promise.reject(new Error("There is no such page.")) : Promise.resolve(page);
  };
  expect(await listPage({ list } as Collection<string, number, object>, {}, { limit: 1 }, signal)).toEqual({
    items: [7],
  });
});
