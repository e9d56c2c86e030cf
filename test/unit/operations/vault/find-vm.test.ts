import { describe, expect, test } from "vitest";
import { parseVmName } from "../../../../shared/core/ids.ts";
import { manifestName } from "../../../../shared/core/vault/names.ts";
import { findVm } from "../../../../shared/operations/vault/find-vm.ts";
import { listVms } from "../../../../shared/operations/vault/list-restore-points.ts";
import { backUp, hourMs, makeVault, noise, signal } from "../../../support/vault/vault-fixture.ts";

describe("Finding a VM in a vault", () => {
  test("takes its id, its name, and its name in other letters' case", async () => {
    const made = await makeVault();
    await backUp(made, "web01", { os: noise("a", 1000) });
    await backUp(made, "DB01", { os: noise("b", 1000) });
    expect(await listVms(made.vault, signal)).toEqual(["db01-0a1b", "web01-0a1b"]);
    expect(await findVm(made.vault, "web01-0a1b", signal)).toBe("web01-0a1b");
    expect(await findVm(made.vault, "web01", signal)).toBe("web01-0a1b");
    expect(await findVm(made.vault, "db01", signal)).toBe("db01-0a1b");
    await expect(findVm(made.vault, "nobody", signal)).rejects.toMatchObject({ code: "not-found" });
  });

  test("goes by the newest readable restore point, so that a renamed VM has its new name", async () => {
    const made = await makeVault();
    await backUp(made, "web01", { os: noise("a", 1000) });
    made.clock.advance(hourMs);
    const renamed = await backUp(made, "web01", { os: noise("b", 1000) }, { vmName: parseVmName("www") });
    expect(await findVm(made.vault, "www", signal)).toBe("web01-0a1b");
    await expect(findVm(made.vault, "web01", signal)).rejects.toMatchObject({ code: "not-found" });
    await made.store.put(manifestName(renamed.vmId, renamed.pointId), Buffer.from("{}"), signal);
    expect(await findVm(made.vault, "web01", signal)).toBe("web01-0a1b");
  });

  test("asks for the id where two VMs have the name", async () => {
    const made = await makeVault();
    await backUp(made, "web01", { os: noise("a", 1000) });
    await backUp(made, "web02", { os: noise("b", 1000) }, { vmName: parseVmName("web01") });
    const finding = findVm(made.vault, "web01", signal);
    await expect(finding).rejects.toMatchObject({
      code: "bad-input",
      details: { vmIds: ["web01-0a1b", "web02-0a1b"] },
    });
  });
});
