import { describe, expect, test } from "vitest";
import { createProgram } from "../../../cli/program.ts";
import type { Shell } from "../../../cli/shell.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { farsideVersion } from "../../../shared/config/version.ts";
import type { Command } from "commander";
import { farside } from "../../support/cli/farside.ts";

const silent: Shell = {
  environment: {},
  cwd: "/",
  out: () => undefined,
  write: async () => undefined,
  err: () => undefined,
  outIsTerminal: false,
  errIsTerminal: false,
  signal: new AbortController().signal,
};

/** Every verb that does something, as its words. */
function verbs(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((one) => verbs(one, [...path, one.name()]));
}

const all = verbs(createProgram(silent, { exitCode: 0 }));

describe("Help", () => {
  test("of the whole names every verb and exits with 0", async () => {
    const { exitCode, out, err } = await farside(["--help"]);
    expect(exitCode).toBe(0);
    expect(err).toBe("");
    for (const [verb] of all) expect(out).toContain(`\n  ${verb}`);
  });

  test.each(all.map((path) => [path.join(" "), path] as const))("of %s has an example", async (name, path) => {
    const { exitCode, out } = await farside([...path, "--help"]);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/\nExamples?:\n {2}\$ /);
    expect(out).toContain(`farside ${name}`);
    expect(out).toContain("--json");
  });

  test("covers the verbs that are promised", () => {
    expect(all.map((path) => path.join(" ")).sort()).toEqual([
      "backup",
      "cat",
      "completion",
      "demo",
      "disk import",
      "export",
      "find",
      "get",
      "ls",
      "point list",
      "point show",
      "policy list",
      "policy remove",
      "policy set",
      "policy show",
      "restore",
      "run cancel",
      "run list",
      "run show",
      "run watch",
      "status",
      "up",
      "vault init",
      "vault rebuild",
      "vault seed",
      "vault show",
      "verify",
      "versions",
      "vm list",
      "vm protect",
      "vm show",
      "vm unprotect",
      "volumes",
    ]);
  });

  test("is shown on standard error, with exit code 2, where a verb is missing", async () => {
    for (const args of [[], ["policy"]]) {
      const { exitCode, out, err } = await farside(args);
      expect(exitCode).toBe(2);
      expect(out).toBe("");
      expect(err).toContain("Usage: farside");
    }
  });
});

test("The version is printed alone", async () => {
  expect(await farside(["--version"])).toEqual({ exitCode: 0, out: `${farsideVersion}\n`, err: "" });
});

describe("Wrong usage is one line on standard error and exit code 2", () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["an unknown verb", ["bogus"], /Unknown command 'bogus'/],
    ["an unknown option", ["status", "--bogus"], /Unknown option '--bogus'/],
    ["a missing argument", ["backup"], /Missing required argument 'vm'/],
    ["a surplus argument", ["status", "now"], /Too many arguments/],
    ["a number that is none", ["policy", "set", "p", "--keep-daily", "many"], /It must be a whole number/],
    ["a negative number", ["policy", "set", "p", "--keep-daily=-1"], /It must be a whole number/],
    ["a duration that is none", ["policy", "set", "p", "--rpo", "soon"], /Write a duration like "26h"/],
    ["a level that is none", ["policy", "set", "p", "--consistency", "perfect"], /Allowed choices are application/],
    ["a disk without a URL", ["vm", "protect", "v", "--policy", "p", "--disk", "os"], /Write NAME=URL/],
    ["no disk", ["vm", "protect", "v", "--policy", "p"], /--resource-id for a VM of Azure, or --disk/],
    [
      "a resource that is no VM",
      ["vm", "protect", "v", "--policy", "p", "--resource-id", "/subscriptions/x"],
      /not the resource id of a VM/,
    ],
    [
      "a disk beside a resource",
      ["vm", "protect", "v", "--policy", "p", "--resource-id", "x", "--disk", "os=http://x/y/z"],
      /leave out their options/,
    ],
    ["no policy", ["vm", "protect", "v", "--disk", "os=http://x/y/z"], /Required option '--policy/],
    ["a time that is none", ["restore", "v", "--to-file", "d", "--at", "yesterday"], /Write a time like/],
    ["a restore without a target", ["restore", "v"], /one of --to-file, --to-container, --revert, /],
    [
      "two targets",
      ["restore", "v", "--to-file", "d", "--to-container", "http://x/y"],
      /one of --to-file, --to-container, --revert, /,
    ],
    [
      "a format without files",
      ["restore", "v", "--to-container", "http://x/y", "--format", "vhd"],
      /--format belongs to --to-file/,
    ],
    ["nothing to verify", ["verify"], /either a VM or --all/],
    ["a sample of nothing", ["verify", "v", "--sample", "5"], /--sample belongs to --read-data/],
    ["a sample above all", ["verify", "v", "--read-data", "--sample", "101"], /above 0 and at most 100/],
    ["a port that is none", ["up", "--port", "99999"], /at most 65535/],
    ["an ephemeral data directory", ["up", "--ephemeral", "--data", "d"], /leave out --data/],
    ["a shell that is none", ["completion", "tcsh"], /Allowed choices are bash, zsh, fish/],
  ];

  test.each(cases)("%s", async (_what, args, message) => {
    const { exitCode, out, err } = await farside(args);
    expect(exitCode).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/^farside: [^\n]+\n$/);
    expect(err).toMatch(message);
  });

  const named: readonly (readonly [string, string])[] = [
    ["a slash", "a/b"],
    ["two dots", ".."],
    ["a control character", "a\u001b[2Jb"],
    ["300 letters", "x".repeat(300)],
    ["nothing", ""],
  ];
  test.each(named)("a name with %s", async (_what, name) => {
    for (const args of [
      ["backup", name],
      ["policy", "show", name],
      ["vm", "unprotect", name],
      ["vm", "protect", "vm", "--policy", "p", "--disk", `${name === "" ? " " : name}=http://x/y/z`],
      ["run", "list", "--vm", name],
    ]) {
      const { exitCode, err } = await farside(args);
      expect(exitCode).toBe(2);
      expect(err).toMatch(/^farside: [^\n]*is not allowed: use 1 to 64 letters[^\n]*\n$/);
      // What was typed must not reach the terminal as it is.
      expect(err).not.toContain("\u001b");
      expect(err.length).toBeLessThan(400);
    }
  });
});

describe("Errors", () => {
  test("are also a document with --json", async () => {
    const { exitCode, out, err } = await farside(["status", "--json"]);
    expect(exitCode).toBe(2);
    expect(JSON.parse(out)).toEqual({
      error: {
        code: "bad-configuration",
        message: expect.stringContaining("FARSIDE_URL is not set") as string,
        details: {},
      },
    });
    expect(err).toMatch(/^farside: FARSIDE_URL is not set/);
  });

  test("show where they came from only with --verbose", async () => {
    expect((await farside(["status"])).err).not.toContain("    at ");
    expect((await farside(["status", "--verbose"])).err).toContain("    at ");
  });

  test.each([
    ["a service verb without a service", ["vm", "list"], /FARSIDE_URL is not set/],
    ["a vault verb without a vault", ["point", "list", "vm"], /FARSIDE_VAULT is not set/],
    ["an import without an account", ["disk", "import", "/dev/null", "d"], /No storage account is configured/],
  ])("%s says what to set", async (_what, args, message) => {
    const { exitCode, err } = await farside(args);
    expect(exitCode).toBe(2);
    expect(err).toMatch(message);
  });

  test("say that a data directory is none", async () => {
    const { exitCode, err } = await farside(["status", "--data", "/nowhere"]);
    expect(exitCode).toBe(3);
    expect(err).toMatch(/\/nowhere is no data directory/);
  });

  test("of a service that does not answer say so", async () => {
    const environment = { FARSIDE_URL: "http://127.0.0.1:9", FARSIDE_KEY: "k" };
    const { exitCode, err } = await farside(["status"], { environment });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^farside: The service at http:\/\/127\.0\.0\.1:9 did not answer/);
  });

  test("after Ctrl-C are exit code 130", async () => {
    const environment = { FARSIDE_URL: "http://127.0.0.1:9", FARSIDE_KEY: "k" };
    const controller = new AbortController();
    controller.abort(new FarsideError("interrupted", "Interrupted."));
    const { exitCode } = await farside(["status"], { environment, signal: controller.signal });
    expect(exitCode).toBe(130);
  });
});

describe("Completion", () => {
  test.each(["bash", "zsh", "fish"])("for %s knows every verb and its options", async (shell) => {
    const { exitCode, out } = await farside(["completion", shell]);
    expect(exitCode).toBe(0);
    for (const path of all) expect(out).toContain(path.at(-1));
    expect(out).toContain(shell === "fish" ? "-l to-container" : "--to-container");
  });
});
