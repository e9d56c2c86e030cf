import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorCodes } from "../../shared/core/errors.ts";

test("docs/errors.md lists every error code with its exit code, HTTP status and advice, and no other", () => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const rows = page.matchAll(/^\| `(?<code>[a-z-]+)` \| (?<exit>\d+) \| (?<status>\d+) \| (?<advice>[a-z-]+) \|/gm);
  const documented = [...rows].map(({ groups }) =>
    [groups?.["code"], groups?.["exit"], groups?.["status"], groups?.["advice"]].join(" "),
  );
  const actual = Object.entries(errorCodes).map(([code, facts]) =>
    [code, facts.exitCode, facts.httpStatus, facts.advice].join(" "),
  );
  expect(documented.sort()).toEqual(actual.sort());
});
