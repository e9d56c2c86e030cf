/** Where a server listens, and the URIs that clients reach it by. */
import { describe, expect, test } from "vitest";
import { isLocal, parseListenAddress } from "../../../../shared/core/nbd/listen-address.ts";
import { nbdUri } from "../../../../shared/core/nbd/nbd-uri.ts";

describe("An address to listen on", () => {
  test.each([
    ["unix:/run/web1.sock", { kind: "unix", path: "/run/web1.sock" }, true],
    ["unix:web1.sock", { kind: "unix", path: "web1.sock" }, true],
    ["127.0.0.1:10809", { kind: "tcp", host: "127.0.0.1", port: 10809 }, true],
    ["127.1.2.3:0", { kind: "tcp", host: "127.1.2.3", port: 0 }, true],
    ["localhost:10809", { kind: "tcp", host: "127.0.0.1", port: 10809 }, true],
    ["[::1]:10809", { kind: "tcp", host: "::1", port: 10809 }, true],
    ["0.0.0.0:10809", { kind: "tcp", host: "0.0.0.0", port: 10809 }, false],
    ["[::]:10809", { kind: "tcp", host: "::", port: 10809 }, false],
    ["[::ffff:127.0.0.1]:1", { kind: "tcp", host: "::ffff:127.0.0.1", port: 1 }, false],
    ["backup.example:10809", { kind: "tcp", host: "backup.example", port: 10809 }, false],
    ["127.0.0.1.example:1", { kind: "tcp", host: "127.0.0.1.example", port: 1 }, false],
  ])("%s is understood, and known to be local or not", (text, expected, local) => {
    const address = parseListenAddress(text);
    expect(address).toEqual(expected);
    expect(isLocal(address)).toBe(local);
  });

  test.each([
    "",
    "unix:",
    `unix:/${"x".repeat(107)}`,
    "unix:a\0b",
    "10809",
    ":10809",
    "host",
    "host:",
    "host:65536",
    "::1:10809",
  ])("%j is none", (text) =>
    expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: "bad-input" }) as Error),
  );
});

describe("A URI", () => {
  test("keeps the slashes of names and escapes what else would mean something", () => {
    const unix = { kind: "unix", path: "/tmp/a b/it's,s?.sock" } as const;
    expect(nbdUri(unix, false, "lvm/data/web root")).toBe(
      "nbd+unix:///lvm/data/web%20root?socket=/tmp/a%20b/it%27s%2Cs%3F.sock",
    );
    expect(nbdUri({ kind: "tcp", host: "127.0.0.1", port: 10809 }, false, "os/p1")).toBe("nbd://127.0.0.1:10809/os/p1");
    expect(nbdUri({ kind: "tcp", host: "::1", port: 1 }, true, "os~2")).toBe("nbds://[::1]:1/os~2");
  });
});
