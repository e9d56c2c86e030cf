import { expect, test } from "vitest";
import { fileTimeMs, fileTimeText, splitFileTime } from "../../../../shared/core/files/file-time.ts";
import { modeText } from "../../../../shared/core/files/mode-text.ts";

test.each([
  ["file", 0o644, "-rw-r--r--"],
  ["directory", 0o1777, "drwxrwxrwt"],
  ["file", 0o4755, "-rwsr-xr-x"],
  ["file", 0o6644, "-rwSr-Sr--"],
  ["directory", 0o1770, "drwxrwx--T"],
  ["link", 0o777, "lrwxrwxrwx"],
  ["character-device", 0o600, "crw-------"],
] as const)("A %s of mode %o is shown as %s", (kind, mode, text) => expect(modeText(kind, mode)).toBe(text));

test.each([
  [0n, "1970-01-01T00:00:00.000000000Z"],
  [1_700_000_000_123_456_789n, "2023-11-14T22:13:20.123456789Z"],
  [-1n, "1969-12-31T23:59:59.999999999Z"],
  [253_402_300_799_999_999_999n, "9999-12-31T23:59:59.999999999Z"],
  [253_402_300_800_000_000_000n, undefined],
  [-(2n ** 90n), undefined],
])("%s nanoseconds are %s", (ns, text) => expect(fileTimeText(ns)).toBe(text));

test("Times before 1970 keep their nanoseconds above their second, and no time is beyond what a date can be", () => {
  expect(splitFileTime(-1_500_000_000n)).toEqual({ seconds: -2n, nanoseconds: 500_000_000 });
  expect(new Date(fileTimeMs(2n ** 200n)).toISOString()).toBe("+275760-09-13T00:00:00.000Z");
});
