/**
 * The smallest disk that boots: its first sector is a program for a PC's BIOS, which reads another sector from far behind with the
 * BIOS's disk service and writes its text to the serial port. What it prints came over the disk.
 */
import { open, truncate, writeFile } from "node:fs/promises";

export const bootMarker = "FARSIDE-BOOTED-FROM-EXPORT";

const sizeBytes = 64 * 1024 * 1024;
const textSector = 100_000;

export async function bootableDisk(path: string): Promise<void> {
  await writeFile(path, "");
  await truncate(path, sizeBytes);
  const disk = await open(path, "r+");
  await disk.write(bootSector());
  await disk.write(`${bootMarker}\r\n\0`, textSector * 512, "latin1");
  await disk.close();
}

/** Real mode, loaded at 0x7c00, the boot drive's number in DL. */
function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  const packetAt = 0x40;
  const code = [
    "fa 31c0 8ed8 8ec0", // cli; xor ax,ax; mov ds,ax; mov es,ax
    "8ed0 bc007c fb", // mov ss,ax; mov sp,0x7c00; sti
    "be407c b442 cd13", // mov si,packet; mov ah,0x42; int 0x13 (extended read)
    "720e", // jc halt
    "be0080", // mov si,0x8000
    "ac 84c0 7406", // next: lodsb; test al,al; jz halt
    "baf803 ee", // mov dx,0x3f8; out dx,al
    "ebf5", // jmp next
    "f4 ebfd", // halt: hlt; jmp halt
  ];
  sector.write(code.join("").replaceAll(" ", ""), "hex");
  // Disk address packet: its size, one sector to 0000:8000, from `textSector`.
  sector.set([0x10, 0, 1, 0, 0x00, 0x80, 0, 0], packetAt);
  sector.writeBigUInt64LE(BigInt(textSector), packetAt + 8);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}
