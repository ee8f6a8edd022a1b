/**
 * INIT, the negotiation at the start of a connection. The process that keeps the /dev/fuse
 * descriptor must also keep the result, because the kernel does not send INIT again to a server
 * that takes the descriptor over.
 */
import { FusefsError } from '../errors.js'
import type { Reply } from './reply.js'
import type { Request } from './request.js'

/** Bits of INIT's `flags` and, from 32 on, `flags2` (fuse.h, "INIT request/reply flags"). */
const INIT_FLAGS = {
  ASYNC_READ: 0,
  EXPORT_SUPPORT: 4,
  BIG_WRITES: 5,
  DO_READDIRPLUS: 13,
  READDIRPLUS_AUTO: 14,
  NO_OPEN_SUPPORT: 17,
  PARALLEL_DIROPS: 18,
  MAX_PAGES: 22,
  CACHE_SYMLINKS: 23,
  NO_OPENDIR_SUPPORT: 24,
  EXPLICIT_INVAL_DATA: 25,
  INIT_EXT: 30,
  HAS_RESEND: 39,
} as const

type InitFlag = keyof typeof INIT_FLAGS

/**
 * Flags that are set in the reply when the kernel offers them. READDIRPLUS_AUTO is left out on
 * purpose: overlayfs lists a directory and then looks at its entries, so attributes are useful in
 * every batch of a listing and not only in the first.
 */
const WANTED: readonly InitFlag[] = [
  'ASYNC_READ',
  'EXPORT_SUPPORT',
  'DO_READDIRPLUS',
  'NO_OPEN_SUPPORT',
  'PARALLEL_DIROPS',
  'MAX_PAGES',
  'CACHE_SYMLINKS',
  'NO_OPENDIR_SUPPORT',
  'EXPLICIT_INVAL_DATA',
  'INIT_EXT',
  'HAS_RESEND',
]

/** Flags without which `decodeInit` refuses. NO_OPENDIR_SUPPORT is the newest, from Linux 5.1. */
const REQUIRED: readonly InitFlag[] = ['NO_OPEN_SUPPORT', 'NO_OPENDIR_SUPPORT']

const MAJOR = 7
/** The newest minor version whose structures this layer was written from. */
const MINOR = 45
const INIT_OUT_BYTES = 64
/**
 * The oldest minor version that is accepted (Linux 5.1). So the shorter reply for kernels before
 * 7.23 (`FUSE_COMPAT_22_INIT_OUT_SIZE`) is not needed.
 */
const OLDEST_MINOR = 29

/** The longest READ, and so the longest reply: 256 pages (FUSE_MAX_MAX_PAGES before 6.13). */
export const MAX_READ_BYTES = 1_048_576
const MAX_PAGES = 256
const MAX_BACKGROUND = 64
const CONGESTION_THRESHOLD = 48
/** The smallest value that the kernel accepts: nothing is written. It bounds a request's length. */
const MAX_WRITE_BYTES = 4096

/** The result of INIT. It is plain JSON, so that the owner of the descriptor can persist it. */
export interface NegotiatedInit {
  readonly major: number
  readonly minor: number
  /** Names of the flags that the kernel offered and the reply sets. */
  readonly flags: readonly InitFlag[]
  readonly maxReadAheadBytes: number
}

/** A negotiated INIT has no more flags than INIT has bits. */
const MAX_FLAGS = 64

/**
 * Reads what `JSON.stringify` made of a `NegotiatedInit`, perhaps that of another build: flags that this
 * build does not know are left out. Throws `invalid-argument`, naming the field, for anything else.
 */
export function negotiatedInitFromJson(value: unknown): NegotiatedInit {
  const fields: Readonly<Record<string, unknown>> =
    typeof value === 'object' && value !== null ? { ...value } : {}
  const uint32 = (name: string): number => {
    const field = fields[name]
    if (
      typeof field === 'number' &&
      Number.isInteger(field) &&
      field >= 0 &&
      field <= 0xffff_ffff
    ) {
      return field
    }
    throw notNegotiated(name, 'a whole number of 32 bits')
  }
  const flags = fields['flags']
  if (!isTextList(flags) || flags.length > MAX_FLAGS) {
    throw notNegotiated('flags', `at most ${MAX_FLAGS} names`)
  }
  const [major, minor] = [uint32('major'), uint32('minor')]
  if (major !== MAJOR) throw notNegotiated('major', String(MAJOR))
  if (minor < OLDEST_MINOR) throw notNegotiated('minor', `at least ${OLDEST_MINOR}`)
  const maxReadAheadBytes = uint32('maxReadAheadBytes')
  return { major, minor, flags: flags.filter(isInitFlag), maxReadAheadBytes }
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isInitFlag(name: string): name is InitFlag {
  return Object.hasOwn(INIT_FLAGS, name)
}

function notNegotiated(field: string, expected: string): FusefsError {
  return new FusefsError('invalid-argument', `negotiated INIT: ${field} must be ${expected}`)
}

/** Reads an INIT request. Throws `protocol` when the kernel is too old or lacks a required flag. */
export function decodeInit(request: Request): NegotiatedInit {
  const major = request.readUint32()
  const kernelMinor = request.readUint32()
  const maxReadAheadBytes = request.readUint32()
  const low = request.readUint32()
  const high = request.remaining >= 4 ? request.readUint32() : 0
  if (major !== MAJOR || kernelMinor < OLDEST_MINOR) {
    throw new FusefsError(
      'protocol',
      `the kernel speaks FUSE ${major}.${kernelMinor}, this program ${MAJOR}.${OLDEST_MINOR} and later (Linux 5.1)`,
    )
  }
  const offered = (flag: InitFlag): boolean => {
    const bit = INIT_FLAGS[flag]
    return bit < 32 ? ((low >>> bit) & 1) === 1 : ((high >>> (bit - 32)) & 1) === 1
  }
  const missing = REQUIRED.filter((flag) => !offered(flag))
  if (missing.length > 0) {
    throw new FusefsError('protocol', `the kernel's FUSE lacks ${missing.join(', ')}`)
  }
  const extended = offered('INIT_EXT')
  const flags = WANTED.filter((flag) => offered(flag) && (INIT_FLAGS[flag] < 32 || extended))
  return { major, minor: Math.min(MINOR, kernelMinor), flags, maxReadAheadBytes }
}

/** Appends `struct fuse_init_out`. */
export function encodeInit(reply: Reply, negotiated: NegotiatedInit): void {
  const out = reply.reserve(INIT_OUT_BYTES)
  out.fill(0)
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  let flags = 0n
  for (const flag of negotiated.flags) flags |= 1n << BigInt(INIT_FLAGS[flag])
  view.setUint32(0, negotiated.major, true)
  view.setUint32(4, negotiated.minor, true)
  view.setUint32(8, negotiated.maxReadAheadBytes, true)
  view.setUint32(12, Number(flags & 0xffff_ffffn), true)
  view.setUint16(16, MAX_BACKGROUND, true)
  view.setUint16(18, CONGESTION_THRESHOLD, true)
  view.setUint32(20, MAX_WRITE_BYTES, true)
  view.setUint32(24, 1, true)
  view.setUint16(28, MAX_PAGES, true)
  view.setUint32(32, Number(flags >> 32n), true)
}
