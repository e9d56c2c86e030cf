import { describe, expect, test } from "vitest";
import { GrantedAccess, grantSeconds } from "../../../../../shared/adapters/azure/managed/granted-access.ts";

/** Grants `sas-1`, `sas-2`, … at a clock that the test puts forward, in milliseconds. */
function granter() {
  let now = 0;
  let grants = 0;
  const access = new GrantedAccess<string>(() => now);
  return {
    access,
    grant: () => access.of("disk", () => Promise.resolve(`sas-${++grants}`)),
    pass: (ms: number) => void (now += ms),
  };
}

describe("Access that was granted", () => {
  test("is shared until twenty minutes before its end, and then asked for anew", async () => {
    const { grant, pass } = granter();
    expect([await grant(), await grant()]).toEqual(["sas-1", "sas-1"]);
    pass(grantSeconds * 1000 - 20 * 60_000 - 1);
    expect(await grant()).toBe("sas-1");
    pass(1);
    expect(await grant()).toBe("sas-2");
  });

  test("is forgotten when it was refused, but not what somebody has asked for since", async () => {
    const { access, grant } = granter();
    const refused = grant();
    access.drop("disk", refused);
    expect(await grant()).toBe("sas-2");
    access.drop("disk", refused);
    expect(await grant()).toBe("sas-2");
    access.drop("disk");
    expect(await grant()).toBe("sas-3");
  });

  test("that failed is asked for again, and what has ended is kept no longer", async () => {
    const { access, grant, pass } = granter();
    await expect(access.of("disk", () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    expect(await grant()).toBe("sas-1");
    await access.of("other", () => Promise.resolve("theirs"));
    pass(grantSeconds * 1000);
    await grant();
    expect(access.keys()).toEqual(["disk"]);
  });
});
