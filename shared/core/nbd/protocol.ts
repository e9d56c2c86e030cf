/**
 * The numbers of the NBD protocol, as doc/proto.md of NetworkBlockDevice/nbd names them. All fields on the wire are big-endian.
 * Here is what a read-only server of the fixed newstyle handshake with structured replies needs; other numbers are left out.
 */

/** "NBDMAGIC" */
export const greetingMagic = 0x4e42_444d_4147_4943n;
/** "IHAVEOPT" */
export const optionMagic = 0x4948_4156_454f_5054n;
export const optionReplyMagic = 0x0003_e889_0455_65a9n;
export const requestMagic = 0x2560_9513;
export const simpleReplyMagic = 0x6744_6698;
export const structuredReplyMagic = 0x668e_33ef;

/** The server's; the client answers with the same bits. */
export const handshakeFlags = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const transmissionFlags = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
} as const;

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const optionReply = { ack: 1, server: 2, info: 3, metaContext: 4 } as const;

/** Replies with bit 31 set; each may carry a text for people. */
export const optionError = {
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  invalid: 0x8000_0003,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
} as const;

export const infoType = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const commandFlag = { df: 1 << 2, reqOne: 1 << 3 } as const;

export const replyFlag = { done: 1 } as const;

export const chunkType = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 0x8001 } as const;

export const blockState = { hole: 1, zero: 2 } as const;

export const nbdError = {
  permission: 1,
  io: 5,
  invalid: 22,
  overflow: 75,
  shutdown: 108,
} as const;

export type NbdErrorNumber = (typeof nbdError)[keyof typeof nbdError];

/** The one metadata context that the protocol defines: which stretches are holes. */
export const allocationContext = "base:allocation";
/** The id given to it in each session. */
export const allocationContextId = 1;

/** The longest string of the protocol ("Values", string length). */
export const longestStringBytes = 4096;

/** What the protocol takes for granted where nothing else was said ("Size constraints"), and what is said here too. */
export const maximumPayloadBytes = 32 * 1024 * 1024;
