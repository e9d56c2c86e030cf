import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { neededPath, parseImagePath, splitVolume } from "../../../cli/image-path.ts";

describe("A place inside a restore point", () => {
  test.each([
    ["web1:os/p1", { vm: "web1", point: "latest", rest: "os/p1" }],
    ["web1@01X:os/p1:/etc", { vm: "web1", point: "01X", rest: "os/p1:/etc" }],
    ["web1:os:a@b:c", { vm: "web1", point: "latest", rest: "os:a@b:c" }],
  ])("%s is read", (text, place) => expect(parseImagePath(text)).toEqual(place));

  test.each(["web1", "web1:", ":os", "@x:os", "web1@:os", "", "a@b@c:os"])("%j is refused", (text) => {
    expect(() => parseImagePath(text)).toThrow(/names no (?:VM|volume|restore point)/);
  });

  test("ends its volume's name where a volume's name ends, colons and all", () => {
    const names = ["os", "os/p1", "md/host:0", "md/host"];
    expect(splitVolume("os/p1:/etc/a:b", names)).toEqual({ volume: "os/p1", path: "/etc/a:b" });
    expect(splitVolume("md/host:0:/srv", names)).toEqual({ volume: "md/host:0", path: "/srv" });
    expect(splitVolume("md/host:0", names)).toEqual({ volume: "md/host:0", path: undefined });
    expect(splitVolume("md/host:1", names)).toEqual({ volume: "md/host", path: "1" });
    expect(splitVolume("none:/x", names)).toEqual({ volume: "none", path: "/x" });
    expect(splitVolume("os:", names)).toEqual({ volume: "os", path: "" });
  });

  test("needs a path where a file is meant", () => {
    expect(neededPath("os/p1:/a", { volume: "os/p1", path: "/a" })).toBe("/a");
    for (const path of [undefined, ""]) expect(() => neededPath("os", { volume: "os", path })).toThrow(/names no file/);
  });

  test("comes back from its parts, whatever the path is", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary" }), (path) => {
        const { rest } = parseImagePath(`web1@01X:data/p2:${path}`);
        expect(splitVolume(rest, ["data", "data/p2"])).toEqual({ volume: "data/p2", path });
      }),
    );
  });
});
