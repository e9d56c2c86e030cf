/**
 * A client of the NBD server that sends what a test says, right or wrong, and takes the replies apart. It is written from the protocol's
 * text and shares no code with the server.
 */
import { connect, type Socket } from "node:net";
import type { ListenAddress } from "../../../shared/core/nbd/listen-address.ts";

export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

export interface Chunk {
  readonly done: boolean;
  readonly type: number;
  readonly cookie: bigint;
  readonly payload: Buffer;
}

export interface RequestFields {
  readonly type: number;
  readonly flags?: number;
  readonly cookie?: bigint;
  readonly offset?: number | bigint;
  readonly length?: number;
}

export interface EnterOptions {
  readonly structured?: boolean;
  /** The export that base:allocation is chosen for; default: the one that is entered. */
  readonly context?: string;
}

export class NbdClient {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  #wake: (() => void) | undefined;
  #over = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#wake?.();
    });
    const over = (): void => {
      this.#over = true;
      this.#wake?.();
    };
    socket.on("error", over);
    socket.on("close", over);
    socket.on("end", over);
  }

  static async connect(address: ListenAddress): Promise<NbdClient> {
    const socket =
      address.kind === "unix" ? connect(address.path) : connect({ host: address.host, port: address.port });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new NbdClient(socket);
  }

  /** With the greeting read and the flags sent. */
  static async greeted(address: ListenAddress, flags = 3): Promise<NbdClient> {
    const client = await NbdClient.connect(address);
    const greeting = await client.read(18);
    if (greeting.toString("latin1", 0, 16) !== "NBDMAGICIHAVEOPT") throw new Error("This is no NBD server.");
    client.send(u32(flags));
    return client;
  }

  /** In the transmission of an export, with structured replies and base:allocation unless told otherwise. */
  static async entered(address: ListenAddress, exportName: string, options: EnterOptions = {}): Promise<NbdClient> {
    const client = await NbdClient.greeted(address);
    const { structured = true, context = structured ? exportName : undefined } = options;
    if (structured) await client.option(8);
    if (context !== undefined) await client.option(10, contextData(context, ["base:allocation"]));
    const replies = await client.option(7, infoData(exportName, []));
    if (replies.at(-1)?.type !== 1) throw new Error(`The server refused: ${replies.at(-1)?.data.toString()}`);
    return client;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Exactly so many bytes; throws where the connection ends before them. */
  async read(length: number): Promise<Buffer> {
    for (;;) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
      if (all.length >= length) {
        this.#chunks.splice(0, this.#chunks.length, all.subarray(length));
        return all.subarray(0, length);
      }
      if (this.#over) throw new Error(`The connection ended with ${all.length} of ${length} bytes.`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends an option and reads its replies up to the last. */
  async option(code: number, data: Uint8Array = Buffer.alloc(0)): Promise<readonly OptionReply[]> {
    this.send(optionHead(code, data.length), data);
    const replies: OptionReply[] = [];
    for (;;) {
      const head = await this.read(20);
      if (head.readBigUInt64BE() !== 0x3e889045565a9n) throw new Error("A reply without its magic.");
      const type = head.readUInt32BE(12);
      replies.push({ option: head.readUInt32BE(8), type, data: await this.read(head.readUInt32BE(16)) });
      if (type === 1 || type >= 0x8000_0000) return replies;
    }
  }

  request(fields: RequestFields): void {
    this.send(requestBytes(fields));
  }

  async chunk(): Promise<Chunk> {
    const head = await this.read(20);
    if (head.readUInt32BE() !== 0x668e33ef) throw new Error(`A chunk without its magic: ${head.toString("hex")}`);
    return {
      done: (head.readUInt16BE(4) & 1) === 1,
      type: head.readUInt16BE(6),
      cookie: head.readBigUInt64BE(8),
      payload: await this.read(head.readUInt32BE(16)),
    };
  }

  /** The chunks of one reply, while no other is under way. */
  async reply(): Promise<readonly Chunk[]> {
    const chunks: Chunk[] = [];
    do chunks.push(await this.chunk());
    while (chunks.at(-1)?.done !== true);
    return chunks;
  }

  /** What a read with structured replies gives, put together; throws with the error's number where it fails. */
  async readRange(offset: number, length: number): Promise<Buffer> {
    this.request({ type: 0, offset, length, cookie: 77n });
    const content = Buffer.alloc(length, 0xee);
    for (const { type, payload } of await this.reply()) {
      if (type === 0x8001) throw new Error(`error ${payload.readUInt32BE()}: ${payload.toString("utf8", 6)}`);
      if (type === 0) continue;
      const at = Number(payload.readBigUInt64BE()) - offset;
      if (type === 1) payload.copy(content, at, 8);
      else content.fill(0, at, at + payload.readUInt32BE(8));
    }
    return content;
  }

  async simpleReply(dataLength: number): Promise<{ error: number; cookie: bigint; data: Buffer }> {
    const head = await this.read(16);
    if (head.readUInt32BE() !== 0x67446698) throw new Error("A simple reply without its magic.");
    const error = head.readUInt32BE(4);
    return { error, cookie: head.readBigUInt64BE(8), data: await this.read(error === 0 ? dataLength : 0) };
  }

  /** Fulfilled when the server has closed the connection. */
  async ended(): Promise<void> {
    this.socket.resume();
    while (!this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.socket.destroy();
  }

  close(): void {
    this.socket.destroy();
  }
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function optionHead(code: number, length: number): Buffer {
  return Buffer.concat([Buffer.from("IHAVEOPT"), u32(code), u32(length)]);
}

export function countedText(text: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
}

/** Of NBD_OPT_INFO and NBD_OPT_GO. */
export function infoData(name: string, wanted: readonly number[]): Buffer {
  return Buffer.concat([countedText(name), u16(wanted.length), ...wanted.map(u16)]);
}

/** Of the two options of metadata contexts. */
export function contextData(name: string, queries: readonly string[]): Buffer {
  return Buffer.concat([countedText(name), u32(queries.length), ...queries.map(countedText)]);
}

export function requestBytes({ type, flags = 0, cookie = 1n, offset = 0, length = 0 }: RequestFields): Buffer {
  return Buffer.concat([u32(0x25609513), u16(flags), u16(type), u64(cookie), u64(offset), u32(length)]);
}

/** The descriptors of a block status reply. */
export function statusOf(chunk: Chunk): readonly (readonly [length: number, flags: number])[] {
  const found: (readonly [number, number])[] = [];
  for (let at = 4; at < chunk.payload.length; at += 8) {
    found.push([chunk.payload.readUInt32BE(at), chunk.payload.readUInt32BE(at + 4)]);
  }
  return found;
}
