import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  diskRuleText,
  parseDiskRule,
  selectDisks,
  type DiskRule,
  type SelectableDisk,
} from "../../../shared/core/disk-selection.ts";

const disk = (name: string, lun?: number, tags: Readonly<Record<string, string>> = {}): SelectableDisk => ({
  names: [name],
  lun,
  tags,
});
const disks = [disk("web_os"), disk("web-data-1", 0), disk("web-data-2", 1, { Role: "scratch" }), disk("logs", 3)];

function chosen(rules: { include?: readonly string[]; exclude?: readonly string[] }, of = disks) {
  const { include, exclude } = rules;
  const selection = selectDisks(of, {
    ...(include === undefined ? {} : { include: include.map(parseDiskRule) }),
    ...(exclude === undefined ? {} : { exclude: exclude.map(parseDiskRule) }),
  });
  return { ...selection, names: selection.chosen.map(({ names }) => names[0]) };
}

describe("The disks of a VM that are backed up", () => {
  test("are all, where nothing is said", () => {
    expect(chosen({})).toMatchObject({ chosen: disks, left: [], idle: [] });
  });

  test.each([
    ["a name, in whatever case", ["WEB-DATA-1"], ["web_os", "web-data-2", "logs"]],
    ["a pattern", ["web-*"], ["web_os", "logs"]],
    ["a pattern with letters between", ["w*b*-*2"], ["web_os", "web-data-1", "logs"]],
    ["a LUN, which the OS disk has none of", ["lun:0"], ["web_os", "web-data-2", "logs"]],
    ["a tag", ["tag:role"], ["web_os", "web-data-1", "logs"]],
    ["a tag with its value", ["tag:ROLE=scratch"], ["web_os", "web-data-1", "logs"]],
    [
      "not by a tag of another value: values tell upper case from lower",
      ["tag:role=Scratch"],
      disks.map((one) => one.names[0]),
    ],
    ["several of them", ["web_os", "lun:3"], ["web-data-1", "web-data-2"]],
  ])("lack those excluded by %s", (_, exclude, left) => {
    expect(chosen({ exclude }).names).toEqual(left);
  });

  test("are only those included, where some are; what is excluded stays out", () => {
    expect(chosen({ include: ["web-data-*"], exclude: ["lun:1"] }).names).toEqual(["web-data-1"]);
    expect(chosen({ include: ["lun:3"] }).left[0]?.reason).toBe("not among the included (lun:3)");
  });

  test("lack those tagged farside-exclude, whatever the rules say", () => {
    const tagged = [
      disk("a"),
      disk("b", 0, { "Farside-Exclude": "True" }),
      disk("c", 1, { "farside-exclude": "false" }),
    ];
    expect(chosen({ include: ["*"] }, tagged).names).toEqual(["a", "c"]);
    expect(chosen({}, tagged).left[0]?.reason).toBe("tagged farside-exclude");
  });

  test("are told with the rules that match none of them", () => {
    expect(chosen({ include: ["web*"], exclude: ["lun:9", "tag:gone", "web_os"] }).idle).toEqual(["lun:9", "tag:gone"]);
  });

  test("are each either chosen or left, and as a pattern each name matches itself", () => {
    const name = fc.stringMatching(/^[a-z0-9_.-]{1,20}$/);
    const rule = fc.oneof(
      name.map((pattern): DiskRule => ({ kind: "name", pattern })),
      fc.nat(4).map((lun): DiskRule => ({ kind: "lun", lun })),
    );
    const rules = fc.array(rule, { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 6 }), rules, rules, (names, include, exclude) => {
        const all = names.map((one, lun) => disk(one, lun));
        const { chosen: kept, left } = selectDisks(all, { include, exclude });
        expect(new Set([...kept, ...left.map((one) => one.disk)])).toEqual(new Set(all));
        expect(kept.length + left.length).toBe(all.length);
        const [first = ""] = names;
        for (const pattern of [first, `${first.slice(0, 2)}*`, `*${first.slice(1)}`, "*"]) {
          const { left: out } = selectDisks(all, { exclude: [{ kind: "name", pattern }] });
          expect(out.map((one) => one.disk)).toContain(all[0]);
        }
      }),
    );
  });
});

describe("A rule of disks", () => {
  test.each(["web-*", "lun:12", "tag:role", "tag:role=a=b"])("%s is read and written", (text) => {
    expect(diskRuleText(parseDiskRule(text))).toBe(text);
  });

  test.each(["", "lun:", "lun:-1", "lun:64", "lun:x", "tag:", "tag:=x", "a/b", "x".repeat(81)])(
    "%j is refused, with how to write one",
    (text) => {
      expect(() => parseDiskRule(text)).toThrow(expect.objectContaining({ code: "bad-input" }));
    },
  );
});
