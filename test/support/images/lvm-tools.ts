/**
 * LVM2's own commands over loop devices: they write real metadata without a device mapper, which this kernel does not have. Nothing
 * but the given devices is looked at or touched. Needs `haveTools("root", "lvm")`.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { tool } from "../tools.ts";

const run = promisify(execFile);

/** Attaches the images for the time of the work. */
export async function withLoops<T>(
  images: readonly string[],
  work: (devices: readonly string[]) => Promise<T>,
  options: readonly string[] = [],
): Promise<T> {
  const devices: string[] = [];
  try {
    for (const image of images) {
      const { stdout } = await run(tool("losetup"), ["--find", "--show", ...options, image]);
      devices.push(stdout.trim());
    }
    return await work(devices);
  } finally {
    for (const device of devices) await run(tool("losetup"), ["--detach", device]);
  }
}

/** Runs `lvm <args>` over the devices. `folder` takes its lock files. Gives what it prints. */
export async function lvm(folder: string, devices: readonly string[], args: readonly string[]): Promise<string> {
  const accepted = devices.map((device) => `"a|^${device}$|"`).join(",");
  const config = [
    `devices { use_devicesfile=0 filter=[${accepted},"r|.*|"] obtain_device_list_from_udev=0 external_device_info_source="none" }`,
    `global { locking_dir="${join(folder, "lock")}" use_lvmpolld=0 activation=0 }`,
    "activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 }",
  ].join(" ");
  const [command = "", ...rest] = args;
  const env = { ...process.env, LVM_SYSTEM_DIR: folder, LVM_SUPPRESS_FD_WARNINGS: "1" };
  const { stdout } = await run(tool("lvm"), [command, "--config", config, "--driverloaded", "n", ...rest], { env });
  return stdout;
}
