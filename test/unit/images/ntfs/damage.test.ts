import { expect, test } from "vitest";
import { openNtfs } from "../../../../shared/images/file-systems/ntfs/open-ntfs.ts";
import { damageAndWalk, fixtureImage } from "../../../support/images/hostile-image.ts";

test("Damage anywhere in an NTFS volume ends in typed errors, and never in a hang", async () => {
  const findings = await damageAndWalk(fixtureImage("ntfs.img"), 250, 20_260_101, openNtfs);
  // The control: most volumes opened, and both damage and files were met.
  expect(findings.get("opened")).toBeGreaterThan(150);
  expect(findings.get("file")).toBeGreaterThan(5_000);
  expect(findings.get("image-corrupt")).toBeGreaterThan(80);
});
