/**
 * The guest of the demo's VM of Azure: it writes the stripe over data-a and data-b all the time, changes files, gives pages back, and keeps an
 * image of each disk for itself. What a disk must have held at any record of the stripe follows from those images: no snapshot is asked.
 */
import { copyFile, open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LocalArmClient } from "../arm/local-client.ts";
import { applyChanges } from "./apply-changes.ts";
import { changeOsDisk, type OsDisk } from "./os-disk.ts";
import { encodeRecord, recordBytes, recordOffset, slots } from "./stripe.ts";

export const managedDisks = ["os", "data-a", "data-b"] as const;
export type ManagedDisk = (typeof managedDisks)[number];

/** Images, or ARM ids, by the names of the disks. */
export type OfDisks = Readonly<Record<ManagedDisk, string>>;

const pauseMs = 2;

export class ManagedGuest {
  /** Records that stand on both disks. */
  written = 0;
  #isStopped = false;
  #writing: Promise<void> = Promise.resolve();
  readonly #client: LocalArmClient;
  readonly #ids: OfDisks;
  readonly #images: OfDisks;

  constructor(client: LocalArmClient, ids: OfDisks, images: OfDisks) {
    this.#client = client;
    this.#ids = ids;
    this.#images = images;
  }

  start(): void {
    this.#writing = this.#write();
    // Told by stop(); until then it is not unhandled.
    this.#writing.catch(() => undefined);
  }

  /** Throws what it failed with. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
  }

  /** A day's work on the OS disk; gives the bytes written. */
  async changeFiles(os: OsDisk, folder: string): Promise<number> {
    const before = join(folder, "os-before.img");
    await copyFile(os.file, before);
    await changeOsDisk(os, folder);
    return applyChanges(before, os.file, os.sizeBytes, (content, offset) =>
      this.#client.guestWrites(this.#ids.os, offset, content),
    );
  }

  /** Beyond the stripe. */
  async write(disk: ManagedDisk, offset: number, content: Buffer<ArrayBuffer>): Promise<void> {
    await this.#client.guestWrites(this.#ids[disk], offset, content);
    await this.#keep(disk, offset, content);
  }

  async trim(disk: ManagedDisk, offset: number, length: number): Promise<void> {
    await this.#client.guestTrims(this.#ids[disk], offset, length);
    await this.#keep(disk, offset, Buffer.alloc(length));
  }

  /** Copies of its images as they are now, without the stripe. */
  async remember(folder: string, name: string): Promise<OfDisks> {
    const copies = { os: "", "data-a": "", "data-b": "" };
    for (const disk of managedDisks) {
      copies[disk] = join(folder, `guest-${name}-${disk}.img`);
      await copyFile(this.#images[disk], copies[disk]);
    }
    return copies;
  }

  async #write(): Promise<void> {
    while (!this.#isStopped) {
      const record = encodeRecord(this.written);
      const offset = recordOffset(this.written);
      await this.#client.guestWrites(this.#ids["data-a"], offset, record);
      await this.#client.guestWrites(this.#ids["data-b"], offset, record);
      this.written++;
      await sleep(pauseMs);
    }
  }

  async #keep(disk: ManagedDisk, offset: number, content: Buffer): Promise<void> {
    const file = await open(this.#images[disk], "r+");
    await file.write(content, 0, content.length, offset);
    await file.close();
  }
}

/** The stripe's ring as it is when record `newest` is the last one that was written. */
export function ringAt(newest: number): Buffer {
  const ring = Buffer.alloc(slots * recordBytes);
  for (let n = Math.max(0, newest - slots + 1); n <= newest; n++) ring.set(encodeRecord(n), recordOffset(n));
  return ring;
}
