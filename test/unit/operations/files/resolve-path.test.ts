import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorRecord } from "../../../../shared/core/errors.ts";
import { resolvePath } from "../../../../shared/operations/files/resolve-path.ts";
import { directory, file, link, memoryFileSystem, special } from "../../../support/files/memory-file-system.ts";

const { signal } = new AbortController();
const shadow = file("root:*:");
const tree = directory({
  etc: directory({
    passwd: file("root:x:"),
    shadow,
    absolute: link("/etc/passwd"),
    relative: link("../etc/./passwd"),
    outside: link("../../../../../../etc/shadow"),
    folder: link("/srv"),
    broken: link("nowhere"),
    self: link("self"),
    a: link("b"),
    b: link("a"),
    socket: special("socket"),
  }),
  srv: directory({ data: file("data") }),
});

const pathOf = async (path: string, type = "ext4", root = tree): Promise<string> => {
  const resolved = await resolvePath(memoryFileSystem(root, { type }), path, signal);
  return `/${resolved.path.join("/")}`;
};

describe("A path inside an image", () => {
  test.each([
    ["", "/"],
    ["/", "/"],
    ["etc/passwd", "/etc/passwd"],
    ["//etc/./passwd/", "/etc/passwd"],
    ["/../../etc/passwd", "/etc/passwd"],
    ["/etc/../srv", "/srv"],
    ["/etc/absolute", "/etc/passwd"],
    ["/etc/relative", "/etc/passwd"],
    ["/etc/outside", "/etc/shadow"],
    ["/etc/folder/data", "/srv/data"],
    ["/etc/folder/../etc/passwd", "/etc/passwd"],
  ])("%j is %s", async (path, found) => expect(await pathOf(path)).toBe(found));

  test.each([
    ["/etc/none", /"\/etc" has no "none"/],
    ["/etc/passwd/x", /"\/etc\/passwd" is a file, no directory/],
    ["/etc/broken", /has no "nowhere"/],
    ["/etc/socket/x", /is a socket/],
    ["/etc/self", /more than 40 links/],
    ["/etc/a", /more than 40 links/],
    [`/${"x/".repeat(600_000)}`, /is too long/],
  ])("%j is refused", async (path, message) => {
    await expect(pathOf(path)).rejects.toThrow(message);
  });

  test("stops at a link at its end where that is asked for", async () => {
    const resolved = await resolvePath(memoryFileSystem(tree), "/etc/absolute", signal, { followLast: false });
    expect(resolved.stat.kind).toBe("link");
  });

  test("of NTFS leads through its links, but not to a drive", async () => {
    const root = directory({
      Users: directory({
        Public: directory({ a: file("a") }),
        Everyone: link("Public"),
        Back: link("..\\Users\\Public"),
        Top: link("\\Users\\Public"),
        Drive: link("\\??\\C:\\Users\\Public"),
        Plain: link("D:\\x"),
        Volume: link("\\??\\Volume{0123}\\x"),
        Share: link("\\\\?\\UNC\\host\\share"),
      }),
    });
    for (const name of ["Everyone", "Back", "Top"]) {
      expect(await pathOf(`/Users/${name}/a`, "ntfs", root)).toBe("/Users/Public/a");
    }
    for (const name of ["Drive", "Plain", "Volume"]) {
      await expect(pathOf(`/Users/${name}/a`, "ntfs", root)).rejects.toThrow(/which volume that is/);
    }
    await expect(pathOf("/Users/Share/a", "ntfs", root)).rejects.toThrow(/has no "UNC"/);
  });

  test("ends by a result or a typed error within its budget, whatever its links are", async () => {
    const names = fc.array(fc.constantFrom("a", "b", "..", ".", "", "c"), { maxLength: 6 });
    const target = fc.tuple(fc.boolean(), names).map(([root, parts]) => `${root ? "/" : ""}${parts.join("/")}`);
    await fc.assert(
      fc.asyncProperty(target, target, target, async (one, two, path) => {
        const root = directory({
          a: link(one),
          b: directory({ a: link(two), b: link(".."), c: file("c") }),
          c: link("b/a"),
        });
        const end = await pathOf(path, "ext4", root).catch((error: unknown) => errorRecord(error).code);
        expect(end).toMatch(/^(?:\/[abc/]*|not-found|bad-input)$/);
      }),
    );
  });
});
