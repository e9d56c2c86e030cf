/**
 * A socket as a sequence of messages: reads of exact lengths, writes that end once they are out.
 *
 * Nothing is read before it is asked for: what a client sends ahead stays in its own socket (and a few dozen kilobytes in this one's
 * buffer), so whoever asks for nothing holds the client back.
 */
import type { Socket } from "node:net";

export class Wire {
  readonly #socket: Socket;
  #over = false;
  #wake: (() => void) | undefined;
  readonly #onChange = (): void => this.#wake?.();
  readonly #onOver = (): void => {
    this.#over = true;
    this.#wake?.();
  };
  /** Fulfilled when the socket is closed. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("readable", this.#onChange);
    socket.on("end", this.#onOver);
    // Its reason is the client's; that it is over is all that counts here. Without a listener it would end the process.
    socket.on("error", this.#onOver);
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#onOver();
        resolve();
      });
    });
  }

  /** The next `length` bytes; undefined where the connection ends before them. One read at a time. */
  async read(length: number): Promise<Uint8Array | undefined> {
    if (length === 0) return new Uint8Array(0);
    for (;;) {
      if (this.#over) return undefined;
      const bytes = this.#socket.read(length) as Buffer | null;
      // At its end a stream gives what is left.
      if (bytes !== null) return bytes.length === length ? bytes : undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** Reads and forgets; false where the connection ends before that. */
  async skip(length: number): Promise<boolean> {
    const pieceBytes = 64 * 1024;
    for (let left = length; left > 0; left -= pieceBytes) {
      if ((await this.read(Math.min(left, pieceBytes))) === undefined) return false;
    }
    return true;
  }

  /** The parts leave together, nothing comes between them; fulfilled once they are out of this process, or never will be. */
  write(...parts: readonly Uint8Array[]): Promise<void> {
    const last = parts.length - 1;
    return new Promise((resolve) => {
      this.#socket.cork();
      for (const [index, part] of parts.entries()) {
        // A failure closes the socket, which ends the session.
        if (index < last) this.#socket.write(part);
        else this.#socket.write(part, () => resolve());
      }
      this.#socket.uncork();
    });
  }

  /** No more is read; what is being read ends as at the end of the connection. */
  stopReading(): void {
    this.#onOver();
  }

  /** Whether bytes have come that nobody asked for. */
  get hasUnread(): boolean {
    return this.#socket.readableLength > 0;
  }

  /** Lets go of the socket, for TLS to take over; it must not be used any more. */
  release(): Socket {
    this.#socket.off("readable", this.#onChange);
    this.#socket.off("end", this.#onOver);
    return this.#socket;
  }

  /** What is written leaves, then the connection ends. */
  end(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
