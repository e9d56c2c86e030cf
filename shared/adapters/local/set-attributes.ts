/**
 * Sets extended attributes by setfattr(1): Node cannot. Many files at a time, by its own dump format on standard input, so that no name
 * and no value meets a shell or an argument.
 */
import { spawn } from "node:child_process";
import { buffer } from "node:stream/consumers";
import { hasErrno } from "./errno.ts";

const batchBytes = 1024 * 1024;
const maxTold = 100;

export class AttributeBatch {
  readonly #folder: string;
  readonly #told: string[] = [];
  #parts: Buffer[] = [];
  #bytes = 0;
  #missing = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** `path` begins with "./" and leads through no link. */
  async add(path: Buffer, attributes: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const lines: Buffer[] = [Buffer.from("# file: "), escaped(path), Buffer.from("\n")];
    for (const [name, value] of attributes) {
      if (isPlain(name)) lines.push(Buffer.from(`${name}=0s${Buffer.from(value).toString("base64")}\n`));
      else this.#tell(`${path.toString()}: an attribute whose name cannot be written was left out`);
    }
    const record = Buffer.concat([...lines, Buffer.from("\n")]);
    this.#parts.push(record);
    this.#bytes += record.length;
    if (this.#bytes >= batchBytes) await this.#send();
  }

  /** Sets what waits, and gives what could not be set since the last time. */
  async flush(): Promise<readonly string[]> {
    if (this.#parts.length > 0) await this.#send();
    return this.#told.splice(0);
  }

  async #send(): Promise<void> {
    const dump = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    if (this.#missing) return;
    try {
      for (const line of await setAttributes(this.#folder, dump)) this.#tell(line);
    } catch (error) {
      if (!hasErrno(error, "ENOENT")) throw error;
      this.#missing = true;
      this.#tell("setfattr is not installed: no extended attribute was set");
    }
  }

  #tell(line: string): void {
    if (this.#told.length < maxTold) this.#told.push(line);
  }
}

/** Lines of what it complained about. `-h`: it never follows a link. */
async function setAttributes(folder: string, dump: Buffer): Promise<readonly string[]> {
  const child = spawn("setfattr", ["-h", "--restore=-"], { cwd: folder, stdio: ["pipe", "ignore", "pipe"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  // It may end before it has read all: what it says then tells why.
  child.stdin.on("error", () => undefined);
  child.stdin.end(dump);
  const [said, code] = await Promise.all([buffer(child.stderr), ended]);
  const lines = said
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "");
  return code !== 0 && lines.length === 0 ? [`setfattr ended with ${code}`] : lines;
}

function isPlain(name: string): boolean {
  return /^[\u0021-\u003c\u003e-\u007e]{1,255}$/.test(name) && !/[\\"#]/.test(name);
}

/** As getfattr(1) writes names: what is not plain, as `\nnn`. */
function escaped(path: Buffer): Buffer {
  let text = "";
  for (const byte of path) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return Buffer.from(text);
}
