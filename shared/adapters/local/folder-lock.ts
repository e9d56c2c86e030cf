/**
 * A lock on a folder that dies with its process, however that ends: a socket that only one process can listen on. A file with a
 * process's number in it would outlive a kill, and then name somebody else.
 *
 * Holds among the processes of one machine (on Linux of one network namespace): two machines that write to one network folder are not
 * kept apart by it.
 */
import { createHash } from "node:crypto";
import { realpath, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FarsideError } from "../../core/errors.ts";
import { hasErrno } from "./errno.ts";

export interface FolderLock {
  release(): Promise<void>;
}

/** Throws `in-use` where another holder has it. The folder must exist. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const address = addressOf(await realpath(folder));
  let server = await listen(address);
  if (server === undefined && !isBoundToProcess(address) && !(await answers(address))) {
    // A socket's file outlives its process on systems without abstract sockets.
    await rm(address, { force: true });
    server = await listen(address);
  }
  if (server === undefined) {
    throw new FarsideError(
      "in-use",
      `Another restore is writing into ${folder}: wait for its end, or restore to another folder.`,
      { details: { folder } },
    );
  }
  const held = server;
  return {
    release: () => new Promise((resolve) => held.close(() => resolve())),
  };
}

function addressOf(folder: string): string {
  const name = `farside-restore-${createHash("sha256").update(folder).digest("hex").slice(0, 32)}`;
  if (process.platform === "win32") return `\\\\.\\pipe\\${name}`;
  // unix(7): a name that begins with a zero byte is no file, and is free again when its last socket is closed.
  return process.platform === "linux" ? `\0${name}` : join(tmpdir(), `${name}.sock`);
}

const isBoundToProcess = (address: string): boolean => address.startsWith("\0") || address.startsWith("\\\\");

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error) => (hasErrno(error, "EADDRINUSE") ? resolve(undefined) : reject(error)));
    server.listen(address, () => {
      // Holding it is no reason to go on living.
      server.unref();
      resolve(server);
    });
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
