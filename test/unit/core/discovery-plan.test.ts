import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { discoveredNames } from "../../../shared/core/discovered-name.ts";
import { planDiscovery, type DiscoveryFacts, type TaggedVm } from "../../../shared/core/discovery-plan.ts";
import { isInScope, parseDiscoveryScope } from "../../../shared/core/discovery-scope.ts";
import { parsePolicyName, parseVmName } from "../../../shared/core/ids.ts";
import { parseVmResourceId, type VmResourceId } from "../../../shared/core/resource-id.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { vmIdOf, type ProtectedVm } from "../../../shared/core/vm.ts";

const subscription = "/subscriptions/00000000-0000-0000-0000-000000000001";
const scopes = [subscription, `${subscription}/resourceGroups/g0`, `${subscription}/resourceGroups/g1`].map(
  parseDiscoveryScope,
);
const idOf = (group: number, vm: number): VmResourceId =>
  parseVmResourceId(`${subscription}/resourceGroups/g${group}/providers/Microsoft.Compute/virtualMachines/vm${vm}`);

function rowOf(resourceId: VmResourceId, policy: string, protectedBy?: "tag", suffix = ""): ProtectedVm {
  const name = parseVmName(`${resourceId.split("/").slice(4).join("-").toLowerCase().slice(-30)}${suffix}`);
  const at = timestamp(0);
  return {
    name,
    vmId: vmIdOf(name),
    policy: parsePolicyName(policy),
    ...(protectedBy === undefined ? {} : { protectedBy }),
    source: { kind: "managed", resourceId },
    protectedAt: at,
    updatedAt: at,
  };
}

const place = fc.record({ group: fc.nat(2), vm: fc.nat(5) }).map(({ group, vm }) => idOf(group, vm));
const policy = fc.constantFrom("daily", "hourly", "nope", "");
const tagged = fc.tuple(place, policy).map(([resourceId, value]): TaggedVm => ({ resourceId, name: "vm", value }));
const row = fc
  .tuple(place, fc.constantFrom("daily", "hourly"), fc.boolean(), fc.constantFrom("", "-b"))
  .map(([id, name, byTag, suffix]) => rowOf(id, name, byTag ? "tag" : undefined, suffix));
const facts: fc.Arbitrary<DiscoveryFacts> = fc
  .record({
    complete: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
    vms: fc.uniqueArray(tagged, { selector: (vm) => vm.resourceId, maxLength: 8 }),
    rows: fc.uniqueArray(row, { selector: ({ name }) => name, maxLength: 10 }),
    acceptRemovals: fc.boolean(),
  })
  .map(({ complete, vms, rows, acceptRemovals }) => ({
    tag: "farside-policy",
    listings: scopes.map((scope, i) => ({
      scope,
      isComplete: complete[i] ?? false,
      tagged: complete[i] === true ? vms.filter(({ resourceId }) => isInScope(resourceId, scope)) : [],
    })),
    rows,
    policies: ["daily", "hourly"].map(parsePolicyName),
    acceptRemovals,
  }));

const resourceOf = ({ source }: ProtectedVm) => (source.kind === "managed" ? source.resourceId : "");

describe("A plan of what discovery does", () => {
  test("takes nothing from whom a person protects, and from nobody where a scope around it was not listed whole", () => {
    fc.assert(
      fc.property(facts, (given) => {
        for (const step of planDiscovery(given).steps) {
          const changed = step.kind === "change-policy" || step.kind === "remove" ? [step.row.protectedBy] : [];
          expect(changed.filter((by) => by !== "tag")).toEqual([]);
          if (step.kind !== "remove" || step.reason === "protected-twice") continue;
          const around = given.listings.filter(({ scope }) => isInScope(resourceOf(step.row), scope));
          expect(around.every(({ isComplete }) => isComplete)).toBe(true);
          expect(around.some((one) => one.tagged.some((vm) => vm.resourceId === resourceOf(step.row)))).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("takes protection from no more than three or half of the VMs of a scope, where nobody confirmed it", () => {
    fc.assert(
      fc.property(facts, (given) => {
        const { steps } = planDiscovery({ ...given, acceptRemovals: false });
        const going = steps.flatMap((step) =>
          step.kind === "remove" && step.reason !== "protected-twice" ? [resourceOf(step.row)] : [],
        );
        for (const { scope } of given.listings) {
          const protectedHere = given.rows.filter(
            (one) => one.protectedBy === "tag" && isInScope(resourceOf(one), scope),
          );
          const all = new Set(protectedHere.map(resourceOf)).size;
          const here = going.filter((resourceId) => isInScope(resourceId, scope)).length;
          expect(here <= 3 || here * 2 <= all).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("comes to rest: what it makes of the rows is what the next one finds as it should be", () => {
    fc.assert(
      fc.property(facts, (given) => {
        const accepted = { ...given, acceptRemovals: true };
        let { rows } = given;
        for (const step of planDiscovery(accepted).steps) {
          if (step.kind === "remove") rows = rows.filter((one) => one !== step.row);
          if (step.kind === "change-policy") {
            rows = rows.map((one) => (one === step.row ? { ...one, policy: step.policy } : one));
          }
          if (step.kind === "protect") rows = [...rows, rowOf(step.vm.resourceId, step.policy, "tag")];
        }
        const again = planDiscovery({ ...accepted, rows });
        expect(again.steps.filter(({ kind }) => kind !== "tell")).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

test("Names of discovered VMs are names here, with the same suffix whatever the case of the resource id", () => {
  const upper = parseVmResourceId(idOf(1, 1).toUpperCase().replace("SUBSCRIPTIONS", "subscriptions"));
  fc.assert(
    fc.property(fc.string({ maxLength: 80, unit: "binary" }), (name) => {
      const names = discoveredNames(name, idOf(1, 1));
      for (const one of names) expect(parseVmName(one)).toBe(one);
      expect(names.at(-1)).toMatch(/-[0-9a-f]{8}$/);
      expect(discoveredNames(name, upper)).toEqual(names);
    }),
  );
});
