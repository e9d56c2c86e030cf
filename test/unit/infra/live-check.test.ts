import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checks } from "../../../infra/live-check/checks.ts";
import { MadeThings } from "../../../infra/live-check/made.ts";
import { report } from "../../../infra/live-check/report.ts";

describe("The questions of the live check", () => {
  test("are those of docs/azure.md, word for word", () => {
    const text = readFileSync("docs/azure.md", "utf8");
    const section = text.slice(text.indexOf("## What was verified, and how"));
    const listed = section.split("\n").filter((line) => line.startsWith("* **"));
    expect(listed).toEqual(
      checks.map(({ name, question, assumed }) => `* **${name}**: ${question} Assumed: ${assumed}.`),
    );
  });

  test("each name the line of the code that relies on the answer", () => {
    expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
    for (const { name, relies } of checks) {
      expect([name, readFileSync(relies.file, "utf8").includes(relies.line)]).toEqual([name, true]);
    }
  });
});

describe("What was made", () => {
  test("is removed newest first; what fails is tried once more, and then told without a query", async () => {
    const made = new MadeThings();
    const removed: string[] = [];
    let tries = 0;
    made.add("the oldest", async () => void removed.push("the oldest"));
    made.add("the slow one", async () => {
      tries++;
      if (tries === 1) throw new Error("It is in the making.");
      removed.push("the slow one");
    });
    made.add("the locked one", () => Promise.reject(new Error("https://md-x/abcd?sig=secret is locked.")));
    made.add("the newest", async () => void removed.push("the newest"));
    const left = await made.removeAll(new AbortController().signal, () => undefined, 1);
    expect(removed).toEqual(["the newest", "the oldest", "the slow one"]);
    expect(left).toEqual(["the locked one: https://md-x/abcd is locked."]);
  });
});

test("A report tells what was assumed where it differs, and no more elsewhere", () => {
  const about = { question: "Is it so?", assumed: "yes", relies: "shared/a.ts" };
  const text = report([
    { check: "one", verdict: "as assumed", found: "it is", ...about },
    { check: "another", verdict: "differs", found: "it is not", ...about },
  ]);
  expect(text).toBe(
    [
      "check    verdict     found",
      "one      as assumed  it is",
      "another  differs     it is not",
      "                     assumed: yes (shared/a.ts)",
      "",
    ].join("\n"),
  );
});
