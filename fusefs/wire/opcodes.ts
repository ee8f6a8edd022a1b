/**
 * The opcodes of the FUSE protocol. Their numbers are from `enum fuse_opcode` of the kernel's
 * include/uapi/linux/fuse.h, protocol 7.45. Other opcodes are answered with ENOSYS.
 */

export const OPCODES = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const

export type OpcodeName = keyof typeof OPCODES

/** The length of tables indexed by opcode. All opcodes above are below it. */
export const OPCODE_LIMIT = 64

const NAMES = new Map<number, OpcodeName>(
  Object.entries(OPCODES).map(([name, code]) => [code, name as OpcodeName]),
)

/** The name of an opcode, `undefined` for one that this protocol version does not know. */
export function opcodeName(opcode: number): OpcodeName | undefined {
  return NAMES.get(opcode)
}

/** Requests that change something. If one arrives, the answer is EROFS: mounts are read-only. */
export const MUTATING_OPCODES: ReadonlySet<number> = new Set([
  OPCODES.SETATTR,
  OPCODES.SYMLINK,
  OPCODES.MKNOD,
  OPCODES.MKDIR,
  OPCODES.UNLINK,
  OPCODES.RMDIR,
  OPCODES.RENAME,
  OPCODES.LINK,
  OPCODES.WRITE,
  OPCODES.SETXATTR,
  OPCODES.REMOVEXATTR,
  OPCODES.CREATE,
  OPCODES.FALLOCATE,
  OPCODES.RENAME2,
  OPCODES.COPY_FILE_RANGE,
  OPCODES.COPY_FILE_RANGE_64,
  OPCODES.TMPFILE,
])
