/** The place in the file system where a unix socket is to be. */
import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, type ListenOptions, type Server } from "node:net";
import { FarsideError } from "../../core/errors.ts";

/** Removes the socket of a process that is gone. Throws `in-use` where one answers, `already-exists` for what is no socket. */
export async function clearSocketPath(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw new FarsideError("already-exists", `${path} exists and is no socket: give another path, or remove it.`);
  }
  if (await answers(path)) {
    throw new FarsideError("in-use", `Another server listens on ${path}: stop it, or give another path.`);
  }
  await unlink(path);
}

/** Listens so that only this user can connect, from the first moment. */
export async function listenOnSocket(path: string, listen: (options: ListenOptions) => Promise<Server>): Promise<void> {
  await clearSocketPath(path);
  // The socket is made within `listen`, in this turn: no other file is made with this mask.
  const before = process.umask(0o177);
  let listening: Promise<Server>;
  try {
    listening = listen({ path });
  } finally {
    process.umask(before);
  }
  await listening;
  await chmod(path, 0o600);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      // Refused: nobody listens on it any more. Gone: whoever did has removed it just now.
      if (["ECONNREFUSED", "ENOENT"].includes(codeOf(error) ?? "")) resolve(false);
      else reject(error);
    });
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
