import { build } from "esbuild";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * The host and the app as they are shipped: bundles, in a folder without node_modules. What the host's bundle needs
 * beside it is the worker's.
 */
const root = fileURLToPath(new URL("../../..", import.meta.url));
const app = `
  import { app } from "@azure/functions";
  app.http("hello", { authLevel: "anonymous", handler: (request) => ({ jsonBody: { name: request.query.get("name"), file: import.meta.url === undefined ? "cjs" : "esm" } }) });
`;
const program = `
  import { startHost } from ${JSON.stringify(join(root, "local/host/host.ts"))};
  const host = await startHost({ appFolder: process.argv[2], settings: {}, port: 0, log: (level, category, message) => console.error(level, category, message) });
  console.log(JSON.stringify({ url: host.url, functions: host.functions }));
  process.stdin.on("end", () => void host.stop().then(() => console.log("stopped"))).resume();
`;
const banner = {
  js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
};

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-bundle-"));
  const common = { bundle: true, platform: "node", target: "node22", absWorkingDir: root, logLevel: "error" } as const;
  const external = ["@azure/functions-core"];
  const stdin = { contents: app, resolveDir: root, loader: "ts" } as const;
  for (const [name, main] of [
    ["cjs", "dist/index.cjs"],
    ["esm", "dist/index.mjs"],
  ] as const) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, "host.json"), JSON.stringify({ version: "2.0" }));
    await writeFile(join(folder, name, "package.json"), JSON.stringify({ type: "module", main }));
    const format = name === "esm" ? ({ format: "esm", banner } as const) : ({ format: "cjs" } as const);
    await build({
      ...common,
      ...format,
      stdin,
      external,
      outfile: join(folder, name, main),
      logOverride: { "empty-import-meta": "silent" },
    });
  }
  await build({
    ...common,
    format: "esm",
    banner,
    entryPoints: { "host-worker": join(root, "local/host/worker.ts") },
    outdir: join(folder, "dist"),
  });
  await build({
    ...common,
    format: "esm",
    banner,
    stdin: { contents: program, resolveDir: root, loader: "ts" },
    outfile: join(folder, "dist/cli.js"),
  });
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("The bundled host", () => {
  test.each(["cjs", "esm"])("runs a bundled app that is %s, with the bundled worker beside it", async (format) => {
    const child = spawn(process.execPath, [join(folder, "dist/cli.js"), join(folder, format)], {
      stdio: ["pipe", "pipe", "inherit"],
      cwd: tmpdir(),
    });
    const lines = createInterface(child.stdout);
    const [line] = (await once(lines, "line")) as [string];
    const host = JSON.parse(line) as { url: string; functions: unknown };
    expect(host.functions).toEqual([{ name: "hello", kind: "http", disabled: false, trigger: "GET,POST /api/hello" }]);
    const answer = await fetch(`${host.url}/api/hello?name=you`);
    expect(await answer.json()).toEqual({ name: "you", file: format });
    const stopped = once(lines, "line");
    child.stdin.end();
    expect(await stopped).toEqual(["stopped"]);
    const [code] = (await once(child, "exit")) as [number];
    expect(code, "nothing keeps the program alive").toBe(0);
  });
});
