import { describe, expect, test } from "vitest";
import { parseRouteTemplate, pathSegments } from "../../../local/host/route-template.ts";

const match = (template: string, path: string): Record<string, string> | undefined => {
  const segments = pathSegments(path);
  if (segments === undefined) throw new Error(`${path} is no path`);
  return parseRouteTemplate(template, "The function f").match(segments);
};

describe("A route template", () => {
  test("matches its literals whatever their case, and gives its parameters theirs", () => {
    expect(match("Api/VMs/{vm}", "/api/vms/Web-01")).toEqual({ vm: "Web-01" });
    expect(match("api/vms/{vm}", "/api/vms/web/")).toEqual({ vm: "web" });
    expect(match("api/vms/{vm}", "/api/vms")).toBeUndefined();
    expect(match("api/vms/{vm}", "/api/vms//")).toBeUndefined();
    expect(match("api/vms/{vm}", "/api/vms/a/b")).toBeUndefined();
    expect(match("", "/")).toEqual({});
  });

  test("decodes values, but not into a slash", () => {
    expect(match("a/{x}", "/a/one%20two%25")).toEqual({ x: "one two%" });
    expect(match("a/{x}", "/a/one%2Ftwo")).toEqual({ x: "one%2Ftwo" });
    expect(match("a/{x}", "/a/%C3%BC")).toEqual({ x: "ü" });
    expect(pathSegments("/a/%zz")).toBeUndefined();
  });

  test("may end with an optional parameter or one that takes the rest", () => {
    expect(match("a/{x?}", "/a")).toEqual({});
    expect(match("a/{x?}", "/a/1")).toEqual({ x: "1" });
    expect(match("a/{*rest}", "/a/b/c/d")).toEqual({ rest: "b/c/d" });
    expect(match("a/{**rest}", "/a")).toEqual({});
    expect(match("a/{x:int?}", "/a/b")).toBeUndefined();
  });

  test.each([
    ["{x:int}", ["1", "-7", "2147483647"], ["a", "1.5", "2147483648"]],
    ["{x:alpha}", ["abc", "XYZ"], ["a1", "ü"]],
    ["{x:guid}", ["0f6e9c8a-6b3f-4d7a-9a51-2f0c0d9d5a11", "0F6E9C8A6B3F4D7A9A512F0C0D9D5A11"], ["0f6e9c8a"]],
    ["{x:length(3)}", ["abc"], ["ab", "abcd"]],
    ["{x:length(2,3)}", ["ab", "abc"], ["a", "abcd"]],
    ["{x:minlength(2):maxlength(3)}", ["ab", "abc"], ["a", "abcd"]],
    ["{x:range(1,12)}", ["1", "12"], ["0", "13", "x"]],
    ["{x:min(5)}", ["5"], ["4"]],
    ["{x:max(5)}", ["5"], ["6"]],
    ["{x:bool}", ["true", "FALSE"], ["1"]],
    ["{x:regex(^\\d{{2}}-[a-z]$)}", ["12-a", "34-Z"], ["1-a", "12-1"]],
    ["{x:regex(^(a:b|c)$)}", ["a:b", "c"], ["d"]],
  ])("holds the constraint of %s", (template, accepted, refused) => {
    const values = [...accepted, ...refused];
    expect(values.filter((value) => match(template, `/${value}`)?.["x"] === value)).toEqual(accepted);
  });

  test.each([
    ["a//b", /empty segment/],
    ["{a?}/b", /must be the last segment/],
    ["{*a}/b", /must be the last segment/],
    ["{a}/{A}", /occurs twice/],
    ["v{a}", /neither a literal nor one parameter/],
    ["{a:colour}", /":colour"|"colour" is not known here/],
    ["{a:length(x)}", /needs 1 or 2 whole numbers/],
    ["{a:regex([)}", /no regular expression/],
    ["{a=5}", /no constraint/],
    ["{a", /neither a literal/],
  ])("refuses %s and says why", (template, problem) => {
    expect(() => parseRouteTemplate(template, "The function f")).toThrow(problem);
  });

  test("is more exact the more it says: literal, constrained, free, rest", () => {
    const templates = ["a/{*x}", "a/{x}", "a/{x:int}", "a/b", "{y}/b"];
    const sorted = templates
      .map((text) => parseRouteTemplate(text, "f"))
      .sort((a, b) => (a.precedence < b.precedence ? -1 : 1))
      .map(({ text }) => text);
    expect(sorted).toEqual(["a/b", "a/{x:int}", "a/{x}", "a/{*x}", "{y}/b"]);
  });

  test("has the shape of another one that matches the same paths", () => {
    const shape = (text: string): string => parseRouteTemplate(text, "f").shape;
    expect(shape("A/{one}/c")).toBe(shape("/a/{two}/C/"));
    expect(shape("a/{one:int}")).not.toBe(shape("a/{one}"));
    expect(shape("a/{one?}")).not.toBe(shape("a/{one}"));
  });
});
