/** The members that every filesystem suite looks at: one of each kind that the kernel can show. */
import { type Member, patternBytes } from './sample-tree.js'

const DIRECTORY = 0o040755
const FILE = 0o100644

/**
 * A time whose nanoseconds change if a transport rounds them to microseconds or through a float.
 */
const NANOSECOND_TIME = [1_234_567_890, 123_456_789] as const
export const BIG_FILE = patternBytes(5 * 1024 * 1024 + 123, 'big')
export const SPARSE_HEAD = patternBytes(5000, 'head')
export const SPARSE_MIDDLE = patternBytes(70_001, 'middle')
/** 5,000 bytes, a hole of 1 MiB, 70,001 bytes, and a hole of 3 MiB at the end. */
export const SPARSE_FILE = Buffer.concat([
  SPARSE_HEAD,
  Buffer.alloc(1024 * 1024),
  SPARSE_MIDDLE,
  Buffer.alloc(3 * 1024 * 1024),
])
export const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex')
export const LARGE_DIRECTORY_ENTRIES = 10_000
/** A name in latin1 that is not valid UTF-8. */
export const NON_UTF8_NAME = 'caf\xe9\xff'

export const PLAIN_MEMBERS: readonly Member[] = [
  { path: '', mode: DIRECTORY, mtime: [1_500_000_000, 5] },
  { path: 'etc', mode: DIRECTORY },
  { path: 'etc/hostname', mode: FILE, content: [Buffer.from('thin\n')], mtime: NANOSECOND_TIME },
  { path: 'etc/shadow', mode: 0o100640, uid: 0, gid: 42, content: [Buffer.from('root:*:1::\n')] },
  { path: 'etc/hosts', mode: FILE, linkTo: 'etc/hostname' },
  { path: 'empty', mode: FILE, content: [] },
  { path: 'old', mode: FILE, mtime: [0, 0] },
  { path: 'su', mode: 0o104755, content: [Buffer.from('#!/bin/sh\nid -u\n')] },
  { path: 'owned', mode: 0o100600, uid: 123_456, gid: 4_294_967_294 },
  { path: 'big', mode: FILE, content: [BIG_FILE] },
  {
    path: 'sparse',
    mode: FILE,
    content: [SPARSE_HEAD, { hole: 1024 * 1024 }, SPARSE_MIDDLE, { hole: 3 * 1024 * 1024 }],
  },
  { path: 'hole', mode: FILE, content: [{ hole: 100_000 }] },
  { path: 'link', mode: 0o120777, target: 'etc/hostname' },
  { path: 'strange-link', mode: 0o120777, target: 'to/\xfe\xff/../x' },
  // makedev(1, 3) and makedev(259, 1048575), in the kernel's 32-bit encoding.
  { path: 'null', mode: 0o020666, rdev: 0x103 },
  { path: 'disk', mode: 0o060660, rdev: encodeDevice(259, 1_048_575) },
  { path: 'pipe', mode: 0o010600 },
  { path: 'whiteout', mode: 0o020000, rdev: 0 },
  { path: NON_UTF8_NAME, mode: DIRECTORY },
  { path: `${NON_UTF8_NAME}/\x01\x80`, mode: FILE, content: [Buffer.from('bytes')] },
  { path: 'n'.repeat(255), mode: FILE, content: [Buffer.from('long')] },
  { path: 'deep', mode: DIRECTORY },
  { path: 'deep/a', mode: DIRECTORY },
  { path: 'deep/a/b', mode: DIRECTORY },
  { path: 'deep/a/b/c', mode: FILE, content: [Buffer.from('deep')] },
  { path: 'many', mode: DIRECTORY },
  ...Array.from({ length: LARGE_DIRECTORY_ENTRIES }, (_, at) => ({
    path: `many/entry-${String(at).padStart(5, '0')}`,
    mode: FILE,
    content: [Buffer.from(String(at))],
  })),
]

export const XATTR_MEMBERS: readonly Member[] = [
  ...PLAIN_MEMBERS,
  {
    path: 'ping',
    mode: 0o100755,
    content: [Buffer.from('#!/bin/true\n')],
    xattrs: { 'security.capability': CAPABILITY, 'user.binary': Buffer.from([0, 255, 10, 0]) },
  },
  {
    path: 'opaque',
    mode: DIRECTORY,
    xattrs: { 'trusted.overlay.opaque': Buffer.from('y'), 'user.overlay.opaque': Buffer.from('y') },
  },
]

/** Like `new_encode_dev` of the kernel's include/linux/kdev_t.h. */
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}
