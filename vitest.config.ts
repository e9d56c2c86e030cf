import { defineConfig } from "vitest/config";

/**
 * Two projects. `unit` needs nothing but this checkout: pure code, memory adapters, simulation, architecture.
 * `integration` starts real servers (Azurite processes, the functions host, the command line) and uses real clients; the longest sweeps of
 * the simulation run with it, so that the gate before each commit stays under a minute.
 */
const longSweeps = ["test/simulation/failing-calls.test.ts", "test/simulation/machine-sweeps.test.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "test/unit/**/*.test.ts",
            "test/architecture/**/*.test.ts",
            "test/simulation/**/*.test.ts",
            "test/conformance/**/*.memory.test.ts",
          ],
          exclude: longSweeps,
          testTimeout: 20_000,
          // On two cores the default would be one.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/conformance/**/*.azurite.test.ts", ...longSweeps],
          testTimeout: 240_000,
          hookTimeout: 60_000,
          // Two cores: each file starts servers of its own, so more at once would only wait for each other.
          maxWorkers: 2,
        },
      },
    ],
  },
});
