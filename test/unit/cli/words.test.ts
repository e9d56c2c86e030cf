/** How the command line reads what people type, and writes what people read. */
import { describe, expect, test } from "vitest";
import {
  formatBytes,
  formatFields,
  formatSeconds,
  formatTable,
  formatTime,
  printable,
  printableName,
} from "../../../cli/format.ts";
import { Output } from "../../../cli/output.ts";
import { byteSize, durationSeconds, instant, namedUrl, percent, wholeNumber } from "../../../cli/parse.ts";
import { Progress } from "../../../cli/progress.ts";

describe("Durations", () => {
  test.each([
    ["26h", 93_600],
    ["1d12h", 129_600],
    ["90m", 5400],
    ["45s", 45],
    ["2w", 1_209_600],
    ["3600", 3600],
    ["1H", 3600],
  ])("%s is %d seconds", (text, seconds) => expect(durationSeconds(text)).toBe(seconds));

  test.each(["", "soon", "1x", "h", "-1h", "1.5h", "1 h"])("%j is none", (text) => {
    expect(() => durationSeconds(text)).toThrow("Write a duration");
  });

  test.each([
    [0, "0s"],
    [59, "59s"],
    [93_600, "1d 2h"],
    [3600, "1h"],
    [90_061, "1d 1h"],
    [undefined, "-"],
  ])("%s is written %s", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
});

describe("Sizes", () => {
  test.each([
    ["1048576", 1_048_576],
    ["512K", 524_288],
    ["1MiB", 1_048_576],
    ["2 GB", 2 * 1024 ** 3],
  ])("%s is %d bytes", (text, bytes) => expect(byteSize(text)).toBe(bytes));

  test.each(["", "big", "-1", "1X"])("%j is none", (text) => expect(() => byteSize(text)).toThrow("Write a size"));

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [8 * 1024 ** 4, "8.0 TiB"],
  ])("%d is written %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe("Times", () => {
  test("with a zone are what they say, without one local", () => {
    expect(instant("2026-11-21T08:30:00Z")).toBe("2026-11-21T08:30:00.000Z");
    expect(instant("2026-11-21 08:30:00+01:00")).toBe("2026-11-21T07:30:00.000Z");
    expect(formatTime(instant("2026-11-21 08:30"))).toBe("2026-11-21 08:30:00");
    expect(formatTime(instant("2026-11-21"))).toBe("2026-11-21 00:00:00");
    expect(formatTime(undefined)).toBe("-");
  });

  test.each(["", "yesterday", "2026-13-01", "21.11.2026", "08:30"])("%j is none", (text) => {
    expect(() => instant(text)).toThrow("Write a time");
  });
});

test("Numbers, percents and disks are read or refused", () => {
  expect(wholeNumber("7")).toBe(7);
  expect(() => wholeNumber("7.5")).toThrow("whole number");
  expect(percent("5%")).toBe(5);
  expect(() => percent("0")).toThrow("above 0");
  expect(() => percent("")).toThrow("above 0");
  const first = namedUrl("os=http://a/b?c=d", undefined);
  expect(namedUrl("data=http://e", first)).toEqual([
    { name: "os", url: "http://a/b?c=d" },
    { name: "data", url: "http://e" },
  ]);
  for (const bad of ["os", "=http://a", "os="]) expect(() => namedUrl(bad, undefined)).toThrow("Write NAME=URL");
});

describe("Tables", () => {
  const columns = [
    { title: "name", value: (row: { name: string; size: number }) => row.name },
    { title: "size", value: (row: { name: string; size: number }) => String(row.size), align: "right" as const },
  ];

  test("are aligned and end no line with blanks", () => {
    const rows = [
      { name: "a", size: 1000 },
      { name: "long name", size: 1 },
    ];
    expect(formatTable(columns, rows)).toBe("NAME       SIZE\na          1000\nlong name     1\n");
  });

  test("let nothing through that would steer the terminal", () => {
    const evil = "a\u001b[2J\u0007\r\nb\u009b";
    expect(printable(evil)).toBe("a [2J   b ");
    expect(formatTable(columns, [{ name: evil, size: 1 }])).toBe("NAME        SIZE\na [2J   b      1\n");
    expect(formatFields([["x", evil]])).not.toContain("\u001b");
    expect(printable("exe\u202etxt\u2028")).toBe("exe txt ");
  });

  test("show names that differ as names that differ", () => {
    const names = ["a\nb", "a\tb", "a\rb", "a\u001bb", "a\u009bb", "a\u202eb", "a\u2066b", "a b", "äö 名"];
    expect(names.map(printableName)).toEqual([
      "a\\nb",
      "a\\tb",
      "a\\rb",
      "a\\x1bb",
      "a\\u{9b}b",
      "a\\u{202e}b",
      "a\\u{2066}b",
      "a b",
      "äö 名",
    ]);
  });
});

describe("Progress", () => {
  const draw = async (terminal: boolean, quiet: boolean): Promise<string> => {
    let err = "";
    const shell = {
      environment: {},
      cwd: "/",
      out: () => undefined,
      write: async () => undefined,
      err: (text: string) => (err += text),
      outIsTerminal: false,
      errIsTerminal: terminal,
      signal: new AbortController().signal,
    };
    const progress = new Progress(new Output(shell, { json: false, quiet }), "os", 4096);
    await new Promise((done) => setTimeout(done, 250));
    progress.add(1024);
    progress.end();
    return err;
  };

  test("shows bytes, share, rate and time left on a terminal", async () => {
    expect(await draw(true, false)).toMatch(/os {2}1\.0 KiB of 4\.0 KiB {2}25 % {2}\d[\d.]* (?:B|KiB)\/s {2}\S+ left/);
  });

  test("says nothing elsewhere, or with --quiet", async () => {
    expect(await draw(false, false)).toBe("");
    expect(await draw(true, true)).toBe("");
  });
});
