/**
 * The short names of FAT: eight letters and three, in a code page of DOS that the volume does not name. Code page 850 is assumed: the
 * letters that 437 has too are at the same places in both (but for the Greek ones of mathematics), and 850 has letters of Western
 * Europe where 437 has pieces of boxes. Names that Windows or Linux made with other letters have a long name, which needs no code page.
 */
/** 0x80 to 0xff of code page 850. Source: unicode.org, MAPPINGS/VENDORS/MICSFT/PC/CP850.TXT. */
const upperHalf =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐" +
  "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0";

/** Windows NT keeps in byte 12 of an entry which halves of a short name are in small letters. */
const smallLetters = { base: 0x08, extension: 0x10 } as const;

export function decodeShortName(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : upperHalf.charAt(byte - 0x80))).join(
    "",
  );
}

/** Of the 11 bytes of an entry, with its byte 12. */
export function shortName(bytes: Uint8Array, caseFlags: number): string {
  // 0xe5 as first byte says that an entry is free: the letter itself is written as 5.
  const first = bytes[0] === 0x05 ? 0xe5 : (bytes[0] ?? 0);
  const base = half(Uint8Array.of(first, ...bytes.subarray(1, 8)), (caseFlags & smallLetters.base) !== 0);
  const extension = half(bytes.subarray(8, 11), (caseFlags & smallLetters.extension) !== 0);
  return extension === "" ? base : `${base}.${extension}`;
}

function half(bytes: Uint8Array, small: boolean): string {
  const text = decodeShortName(bytes).replace(/ +$/, "");
  return small ? text.toLowerCase() : text;
}

/** By which long entries know their short one: fatgen103, "ChkSum". */
export function shortNameSum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes.subarray(0, 11)) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}
