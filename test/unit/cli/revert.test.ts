/** A revert writes into disks that somebody works with: what the command line asks before, and what it sends. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Shell } from "../../../cli/shell.ts";
import { sampleRestoreRuns } from "../../support/sample-rows.ts";
import { runView } from "../../../shared/wire/http/run.ts";
import { farside } from "../../support/cli/farside.ts";

let server: Server;
let environment: Shell["environment"];
let bodies: unknown[] = [];

beforeAll(async () => {
  const [queued] = sampleRestoreRuns(1);
  if (queued === undefined) throw new Error("There is no sample run.");
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      bodies.push(JSON.parse(body));
      response.writeHead(202, { "content-type": "application/json" });
      response.end(JSON.stringify(runView(queued)));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  environment = { FARSIDE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, FARSIDE_KEY: "key" };
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  bodies = [];
});

const saying = (answer: string): Partial<Shell> => ({ environment, ask: () => Promise.resolve(answer) });

describe("farside restore --revert", () => {
  test("asks on a terminal for the VM's name, and does nothing for any other answer", async () => {
    for (const answer of ["", "y", "yes", "web2"]) {
      const { exitCode, err } = await farside(["restore", "web1", "--revert"], saying(answer));
      expect(exitCode).toBe(4);
      expect(err).toContain("Nothing was changed");
    }
    expect(bodies).toEqual([]);
    expect((await farside(["restore", "web1", "--revert"], saying("web1\n"))).exitCode).toBe(0);
    expect(bodies).toEqual([{ target: { kind: "revert" }, restorePointId: "latest" }]);
  });

  test("is refused with exit code 4 where nobody can be asked, unless --yes is given", async () => {
    const asked: readonly (readonly [string[], Partial<Shell>])[] = [
      [[], { environment }],
      [["--json"], saying("web1")],
    ];
    for (const [flags, shell] of asked) {
      const { exitCode, err } = await farside(["restore", "web1", "--revert", ...flags], shell);
      expect(exitCode).toBe(4);
      expect(err).toContain("--yes");
    }
    expect(bodies).toEqual([]);
    const args = ["restore", "web1", "--revert", "--yes", "--json", "--at", "2026-11-21T08:00:00Z", "--disk", "os"];
    expect((await farside(args, { environment })).exitCode).toBe(0);
    expect(bodies).toEqual([{ target: { kind: "revert" }, at: "2026-11-21T08:00:00.000Z", disks: ["os"] }]);
  });
});

test("farside restore --to-container passes on what may be overwritten and mixed", async () => {
  const point = "01KAX5M2Y3ZJ8T9V6W7Q4R1B0C";
  const to = "https://dr.blob.core.windows.net/restored";
  const args = ["restore", "web1", "--to-container", to, "--overwrite", "--disk", "os", `data@${point}`];
  expect((await farside([...args, "--accept-mixed-points"], { environment })).exitCode).toBe(0);
  expect(bodies).toEqual([
    {
      target: { kind: "container", url: to, overwrite: true },
      restorePointId: "latest",
      disks: ["os", { name: "data", restorePointId: point }],
      acceptMixedPoints: true,
    },
  ]);
});
