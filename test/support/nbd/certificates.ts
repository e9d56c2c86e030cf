/**
 * An authority with a server's and a client's certificate, made by openssl as docs/nbd-export.md tells it, in the layout that qemu,
 * libnbd and nbdkit expect of a folder.
 */
import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { tool } from "../tools.ts";

const run = promisify(execFile);

export interface Certificates {
  /** ca-cert.pem, server-cert.pem, server-key.pem */
  readonly server: string;
  /** ca-cert.pem, client-cert.pem, client-key.pem */
  readonly client: string;
  /** ca-cert.pem alone: a client without a certificate. */
  readonly stranger: string;
}

export async function makeCertificates(folder: string): Promise<Certificates> {
  const openssl = (...args: readonly string[]): Promise<unknown> => run(tool("openssl"), args, { cwd: folder });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await mkdir(folder, { recursive: true });
  await openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca-key.pem",
    "-out",
    "ca-cert.pem",
    "-days",
    "2",
    "-subj",
    "/CN=ca",
  );
  for (const [name, extension] of [
    ["server", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth"],
    ["client", "extendedKeyUsage=clientAuth"],
  ] as const) {
    await writeFile(join(folder, `${name}.ext`), `basicConstraints=CA:FALSE\n${extension}\n`);
    await openssl("req", ...newKey, "-keyout", `${name}-key.pem`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const signed = ["-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2"];
    await openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...signed,
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}-cert.pem`,
    );
  }
  const folders = {
    server: join(folder, "server"),
    client: join(folder, "client"),
    stranger: join(folder, "stranger"),
  };
  for (const [role, target] of Object.entries(folders)) {
    await mkdir(target);
    await copyFile(join(folder, "ca-cert.pem"), join(target, "ca-cert.pem"));
    if (role === "stranger") continue;
    for (const part of ["cert", "key"]) {
      await copyFile(join(folder, `${role}-${part}.pem`), join(target, `${role}-${part}.pem`));
    }
  }
  return folders;
}
