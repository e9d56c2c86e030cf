import { expect, test } from "vitest";
import { openFat } from "../../../../shared/images/file-systems/fat/open-fat.ts";
import { damageAndWalk, fixtureImage } from "../../../support/images/hostile-image.ts";

test.for(["fat12.img", "fat32.img"])(
  "Damage anywhere in %s ends in typed errors, and never in a hang",
  async (name) => {
    const findings = await damageAndWalk(fixtureImage(name), 250, 20_260_102, openFat);
    // The control: most volumes opened, and both damage and files were met.
    expect(findings.get("opened")).toBeGreaterThan(125);
    expect(findings.get("file")).toBeGreaterThan(3_000);
    expect(findings.get("image-corrupt")).toBeGreaterThan(10);
  },
);
