/** How the launcher (`farside`) starts Node.js, for benchmarks that start a part of the command line by themselves. */
export const launcherArguments = ["--max-semi-space-size=4"] as const;
export const launcherEnvironment = { ...process.env, MALLOC_MMAP_THRESHOLD_: "131072" };
