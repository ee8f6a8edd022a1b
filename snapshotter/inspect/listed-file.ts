/** Formats one file of a tree for `ls`. */
import type { Inode, Tree } from '../../index-format/index.js'
import { escapeName, escapePath } from '../trees/escape-name.js'

const S_IFMT = 0o170000
const TYPES = new Map<number, { readonly letter: string; readonly name: FileType }>([
  [0o010000, { letter: 'p', name: 'fifo' }],
  [0o020000, { letter: 'c', name: 'character-device' }],
  [0o040000, { letter: 'd', name: 'directory' }],
  [0o060000, { letter: 'b', name: 'block-device' }],
  [0o100000, { letter: '-', name: 'file' }],
  [0o120000, { letter: 'l', name: 'symlink' }],
  [0o140000, { letter: 's', name: 'socket' }],
])

export type FileType =
  | 'fifo'
  | 'character-device'
  | 'directory'
  | 'block-device'
  | 'file'
  | 'symlink'
  | 'socket'
  | 'unknown'

/**
 * One file as `ls --json` prints it. Names are escaped as on the terminal; values of extended
 * attributes are in hex.
 */
export interface ListedFileJson {
  readonly path: string
  readonly type: FileType
  /** Permission bits, octal. */
  readonly mode: string
  readonly ino: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly rdev?: { readonly major: number; readonly minor: number }
  readonly mtimeSec: number
  readonly mtimeNsec: number
  readonly target?: string
  readonly xattrs?: Readonly<Record<string, string>>
}

export function jsonFromFile(tree: Tree, path: Uint8Array, inode: Inode): ListedFileJson {
  const type = TYPES.get(inode.mode & S_IFMT)?.name ?? 'unknown'
  const target = tree.readlink(inode.ino)
  const xattrs = tree.xattrs(inode.ino).map(({ name, value }) => {
    return [escapeName(name), Buffer.from(value).toString('hex')] as const
  })
  return {
    path: `/${escapePath(path)}`,
    type,
    mode: (inode.mode & 0o7777).toString(8).padStart(4, '0'),
    ino: inode.ino,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    sizeBytes: inode.sizeBytes,
    ...(isDevice(inode.mode) ? { rdev: deviceNumbers(inode.rdev) } : {}),
    mtimeSec: inode.mtimeSec,
    mtimeNsec: inode.mtimeNsec,
    ...(target === undefined ? {} : { target: escapePath(target) }),
    ...(xattrs.length === 0 ? {} : { xattrs: Object.fromEntries(xattrs) }),
  }
}

/**
 * The columns of `ls -l`. Columns 1 to 4 are to be aligned to the right. `shown` is the escaped
 * name.
 */
export function columnsFromFile(tree: Tree, shown: string, inode: Inode): string[] {
  const { major, minor } = deviceNumbers(inode.rdev)
  const size = isDevice(inode.mode) ? `${major}, ${minor}` : `${inode.sizeBytes}`
  const target = tree.readlink(inode.ino)
  const name = target === undefined ? shown : `${shown} -> ${escapePath(target)}`
  const mark = tree.xattrs(inode.ino).length > 0 ? '+' : ' '
  const mode = `${modeLetters(inode.mode)}${mark}`
  return [mode, `${inode.nlink}`, `${inode.uid}`, `${inode.gid}`, size, timeText(inode), name]
}

/** Major and minor number from the kernel's 32-bit form (linux/kdev_t.h, new_decode_dev). */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) }
}

/** `-rwsr-xr-x`, as `ls -l` writes it. */
function modeLetters(mode: number): string {
  const type = TYPES.get(mode & S_IFMT)?.letter ?? '?'
  const triple = (bits: number, special: boolean, letter: string): string => {
    const execute = (bits & 1) !== 0
    const last = special ? (execute ? letter : letter.toUpperCase()) : execute ? 'x' : '-'
    return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`
  }
  const owner = triple((mode >> 6) & 7, (mode & 0o4000) !== 0, 's')
  const group = triple((mode >> 3) & 7, (mode & 0o2000) !== 0, 's')
  return type + owner + group + triple(mode & 7, (mode & 0o1000) !== 0, 't')
}

function isDevice(mode: number): boolean {
  return (mode & S_IFMT) === 0o020000 || (mode & S_IFMT) === 0o060000
}

/**
 * The time in UTC, so that the same tree prints the same everywhere. The range of JavaScript's
 * dates is large enough.
 */
function timeText({ mtimeSec, mtimeNsec }: Inode): string {
  const seconds = new Date(mtimeSec * 1000).toISOString().slice(0, 19).replace('T', ' ')
  return `${seconds}.${mtimeNsec.toString().padStart(9, '0')}`
}
