// Loads dist/index.cjs with the least of a Functions worker: prints how many functions it registered.
const Module = require("node:module");
const { join } = require("node:path");

let functions = 0;
const core = {
  version: "bench",
  hostVersion: "bench",
  setProgrammingModel() {},
  getProgrammingModel() {},
  log() {},
  registerFunction() {
    functions++;
    return {};
  },
  registerHook() {
    return {};
  },
};
const load = Module.prototype.require;
Module.prototype.require = function (id) {
  return id === "@azure/functions-core" ? core : load.call(this, id);
};
require(join(__dirname, "../../dist/index.cjs"));
process.stdout.write(String(functions));
process.exit(0);
