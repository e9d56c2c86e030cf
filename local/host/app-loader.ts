/** Loads a compiled function app as the real worker does: the files that `main` of its package.json names. */
import { glob, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Loads the app and returns the files, relative to its folder, in the order of loading (by name).
 * Throws what a file throws while it loads, and where `main` is missing or names no file (Azure shows such an app as one
 * without functions, and without an error).
 */
export async function loadApp(appFolder: string): Promise<readonly string[]> {
  const packageFile = join(appFolder, "package.json");
  const { main, type } = JSON.parse(await readFile(packageFile, "utf8")) as { main?: unknown; type?: unknown };
  if (typeof main !== "string") {
    throw new Error(`${packageFile} has no "main": name the compiled file of the app there.`);
  }
  const files: string[] = [];
  for await (const file of glob(main, { cwd: appFolder })) files.push(file);
  files.sort();
  if (files.length === 0) {
    throw new Error(
      `"main" of ${packageFile} is ${JSON.stringify(main)}, and no file matches it: build the app first.`,
    );
  }
  const require = createRequire(packageFile);
  for (const file of files) {
    const path = join(appFolder, file);
    const extension = extname(file);
    const isModule = extension === ".mjs" || (extension !== ".cjs" && type === "module");
    if (isModule) await import(pathToFileURL(path).href);
    else require(path);
  }
  return files;
}
