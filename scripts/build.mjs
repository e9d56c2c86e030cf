// Bundles the one file that Azure loads (dist/index.cjs, "main" of package.json) and the command line (dist/cli.js).
// @azure/functions-core is no package: the Functions worker provides it by a hook on require, so it stays external.
import { build } from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node22",
  sourcemap: true,
  sourcesContent: false,
  legalComments: "none",
  logLevel: "warning",
};

await Promise.all([
  build({
    ...common,
    entryPoints: [join(root, "functions/main.ts")],
    format: "cjs",
    outfile: join(root, "dist/index.cjs"),
    external: ["@azure/functions-core"],
  }),
  build({
    ...common,
    entryPoints: {
      cli: join(root, "cli/main.ts"),
      "host-worker": join(root, "local/host/worker.ts"),
      "local-arm": join(root, "local/stack/arm-process.ts"),
    },
    format: "esm",
    outdir: join(root, "dist"),
    external: ["azurite", "esbuild"],
    // The Azure SDKs still call require(); an ES module has none of its own.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  }),
]);
