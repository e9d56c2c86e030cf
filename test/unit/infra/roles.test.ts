import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { allowsAction, allowsDataAction } from "../../../local/arm/role-definition.ts";
import { neededActions } from "../../../shared/adapters/azure/managed/machine/check-permissions.ts";
import { isConditionMet } from "../../support/role-condition.ts";
import { readCondition, readRole, roleNames } from "../../support/roles.ts";

const blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";

/** The tables of docs/identity.md: under each role's heading, operation, permission and why. */
function documented(): ReadonlyMap<string, readonly string[]> {
  const text = readFileSync("docs/identity.md", "utf8");
  const sections = text.split(/^### `/m).slice(1);
  return new Map(
    sections.map((section) => {
      const rows = section.split("\n").filter((line) => line.startsWith("|"));
      const permissions = rows.flatMap((row) => /`(Microsoft\.[^`]+)`/.exec(row.split("|")[2] ?? "")?.[1] ?? []);
      for (const row of rows) expect(row.split("|").length).toBe(5);
      return [section.split("`")[0] ?? "", permissions];
    }),
  );
}

describe("The roles", () => {
  test("are told in docs/identity.md as they are: every permission with what needs it and why, and no other", () => {
    const tables = documented();
    expect([...tables.keys()].sort()).toEqual(roleNames());
    for (const name of roleNames()) {
      const { Actions, DataActions } = readRole(name);
      expect([name, ...(tables.get(name) ?? []).toSorted()]).toEqual([name, ...[...Actions, ...DataActions].sort()]);
    }
  });

  test("name each permission whole, and leave nothing out of what they give", () => {
    for (const name of roleNames()) {
      const { Actions, NotActions, DataActions, NotDataActions, AssignableScopes } = readRole(name);
      for (const action of [...Actions, ...DataActions]) {
        expect(action).toMatch(/^Microsoft\.\w+(?:\/\w+)*\/(?:read|write|delete|\w+\/action)$/);
      }
      expect([...NotActions, ...NotDataActions]).toEqual([]);
      expect(AssignableScopes).toEqual(["/subscriptions/00000000-0000-0000-0000-000000000000"]);
    }
    expect(new Set(roleNames().map((name) => readRole(name).Name)).size).toBe(roleNames().length);
  });

  test("keep apart who writes the vault and who deletes in it", () => {
    const deletes = [`${blobs}/delete`, `${blobs}/deleteBlobVersion/action`, `${blobs}/permanentDelete/action`];
    const able = roleNames().filter((name) => deletes.some((action) => allowsDataAction(readRole(name), action)));
    expect(able).toEqual(["vault-collector", "vault-work-remover"]);
    // Its assignment says where.
    expect(readCondition("vault-work-remover")).toBeDefined();
  });

  test("let the source's reader change no VM, no disk and no network", () => {
    const reader = readRole("source-reader");
    const made = /\/(?:snapshots|restorePointCollections)(?:\/|$)/;
    const changing = reader.Actions.filter((action) => !action.endsWith("/read") && !made.test(action));
    // A SAS to read a disk; with it the disk itself stays as it is.
    expect(changing).toEqual(["Microsoft.Compute/disks/beginGetAccess/action"]);
    for (const verb of ["write", "delete", "deallocate/action", "runCommand/action"]) {
      expect(allowsAction(reader, `Microsoft.Compute/virtualMachines/${verb}`)).toBe(false);
    }
  });
});

describe("The restorer's role", () => {
  test("has every permission that a restore looks for before it makes anything", () => {
    for (const kind of ["managed-disks", "managed-vm", "swap-disks"] as const) {
      const lacking = neededActions({ kind }).filter((action) => !allowsAction(readRole("restorer"), action));
      expect([kind, lacking]).toEqual([kind, []]);
    }
  });
});

describe("The conditions of their assignments", () => {
  const met = (role: string, verb: string, blobPath: string): boolean =>
    isConditionMet(readCondition(role) ?? "", { action: `${blobs}/${verb}`, blobPath });

  test("let work blobs alone be deleted", () => {
    expect(met("vault-work-remover", "delete", "work/01ABC/session")).toBe(true);
    for (const path of ["vault.json", "index/00/ab", "restore-points/vm/p/manifest.json", "works/x", "a/work/x"]) {
      expect(met("vault-work-remover", "delete", path)).toBe(false);
    }
  });

  test("let the writer overwrite work and refresh objects, and add whatever is new", () => {
    for (const path of ["work/x", "chunks/00/ab", "index/00/ab"]) expect(met("vault-writer", "write", path)).toBe(true);
    for (const path of ["vault.json", "keys/a.json", "restore-points/vm/p/seal.json", "quarantine/a.0"]) {
      expect(met("vault-writer", "write", path)).toBe(false);
      expect(met("vault-writer", "add/action", path)).toBe(true);
    }
  });

  test("would be found broken: what is not understood is no condition", () => {
    expect(() => isConditionMet("ActionMatches{'a'} AND", { action: "a", blobPath: "" })).toThrow("expression");
    expect(() => isConditionMet("(ActionMatches{'a'}", { action: "a", blobPath: "" })).toThrow("should be");
    expect(() => isConditionMet("ActionMatches{'a'} ; x", { action: "a", blobPath: "" })).toThrow("not understood");
  });
});
