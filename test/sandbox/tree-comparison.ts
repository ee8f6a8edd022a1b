/**
 * Compares two directories entry by entry, only by system calls and independently of how either is
 * served. Names are bytes. Differences are reported by path and attribute. If the report is empty,
 * no program can tell the two directories apart by reading them.
 */
import { createHash } from 'node:crypto'
import { type BigIntStats, constants, createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { xattrsBelow } from './xattrs-below.js'

export interface TreeDifference {
  /** Path below the roots of the trees, with bytes that are not printable ASCII as \xHH. */
  readonly path: string
  /** Name of the attribute, or `entry` for a name that only one tree has. */
  readonly attribute: string
  readonly left: string
  readonly right: string
}

export interface TreeComparison {
  /** Entries that both trees have, the root included. */
  readonly comparedEntries: number
  /** Bytes of file content that were read and hashed on each side. */
  readonly comparedBytes: number
  readonly differences: readonly TreeDifference[]
}

const SLASH = Buffer.from('/')

export interface CompareOptions {
  /**
   * When the left tree was unpacked, in milliseconds since 1970. If no layer has an entry for a
   * directory, but only for its children, containerd sets the directory's mtime to the time of
   * unpacking. Such an mtime is not the image's and is not compared. Default: all mtimes are
   * compared.
   */
  readonly leftUnpackedMs?: number
}

/** Compares the directories `left` and `right` themselves and everything below them. */
export async function compareTrees(
  left: string,
  right: string,
  { leftUnpackedMs = Infinity }: CompareOptions = {},
): Promise<TreeComparison> {
  const comparer = new Comparer(
    leftUnpackedMs,
    { root: Buffer.from(left), xattrs: await xattrsBelow(left), names: new Map() },
    { root: Buffer.from(right), xattrs: await xattrsBelow(right), names: new Map() },
  )
  await comparer.compare(Buffer.alloc(0))
  return comparer
}

interface Side {
  readonly root: Buffer
  /** Extended attributes as one canonical line, by path below the root in latin1. */
  readonly xattrs: ReadonlyMap<string, string>
  /** The first path found of each inode number. */
  readonly names: Map<bigint, string>
}

class Comparer implements TreeComparison {
  comparedEntries = 0
  comparedBytes = 0
  readonly differences: TreeDifference[] = []
  readonly #left: Side
  readonly #right: Side

  readonly #leftUnpackedMs: number

  constructor(leftUnpackedMs: number, left: Side, right: Side) {
    this.#leftUnpackedMs = leftUnpackedMs
    this.#left = left
    this.#right = right
  }

  async compare(path: Buffer): Promise<void> {
    const [left, right] = await Promise.all([
      lstat(below(this.#left, path), { bigint: true }),
      lstat(below(this.#right, path), { bigint: true }),
    ])
    this.comparedEntries += 1
    const differs = this.#compareAttributes(path, left, right)
    if (differs) return
    switch (Number(left.mode) & constants.S_IFMT) {
      case constants.S_IFDIR:
        await this.#compareNames(path)
        break
      case constants.S_IFREG:
        await this.#compareContent(path, left, right)
        break
      case constants.S_IFLNK:
        await this.#compareLinks(path)
        break
    }
  }

  /** Returns true if the two entries are not of the same type. */
  #compareAttributes(path: Buffer, left: BigIntStats, right: BigIntStats): boolean {
    const isDirectory = (stats: BigIntStats): boolean => stats.isDirectory()
    const ofUnpacking = isDirectory(left) && Number(left.mtimeMs) >= this.#leftUnpackedMs
    const attributes: Record<string, (stats: BigIntStats, side: Side) => string> = {
      mode: ({ mode }) => mode.toString(8),
      uid: ({ uid }) => String(uid),
      gid: ({ gid }) => String(gid),
      nlink: ({ nlink }) => String(nlink),
      mtimeNs: ({ mtimeNs }) => (ofUnpacking ? '' : String(mtimeNs)),
      rdev: ({ rdev }) => String(rdev),
      // The size of a directory has a different meaning in each filesystem.
      size: (stats) => (isDirectory(stats) ? '' : String(stats.size)),
      // The first path found of the same inode: hard links must join the same paths on both sides.
      'hard link of': (stats, side) => {
        if (isDirectory(stats) || stats.nlink < 2n) return ''
        const first = side.names.get(stats.ino) ?? printable(path)
        side.names.set(stats.ino, first)
        return first
      },
      xattrs: (_, side) => side.xattrs.get(path.toString('latin1')) ?? '',
    }
    for (const [attribute, valueOf] of Object.entries(attributes)) {
      this.#expect(path, attribute, valueOf(left, this.#left), valueOf(right, this.#right))
    }
    const type = BigInt(constants.S_IFMT)
    return (left.mode & type) !== (right.mode & type)
  }

  async #compareNames(path: Buffer): Promise<void> {
    const [left, right] = await Promise.all([
      namesIn(below(this.#left, path)),
      namesIn(below(this.#right, path)),
    ])
    for (const name of [...new Set([...left, ...right])].sort()) {
      const child = Buffer.from(name, 'latin1')
      const childPath = path.length === 0 ? child : Buffer.concat([path, SLASH, child])
      const inBoth = left.has(name) && right.has(name)
      if (inBoth) await this.compare(childPath)
      else this.#expect(childPath, 'entry', has(left, name), has(right, name))
    }
  }

  async #compareContent(path: Buffer, left: BigIntStats, right: BigIntStats): Promise<void> {
    if (left.size !== right.size) return
    const [leftHash, rightHash] = await Promise.all([
      contentHash(below(this.#left, path)),
      contentHash(below(this.#right, path)),
    ])
    this.comparedBytes += Number(left.size)
    this.#expect(path, 'content', leftHash, rightHash)
  }

  async #compareLinks(path: Buffer): Promise<void> {
    const [left, right] = await Promise.all([
      readlink(below(this.#left, path), { encoding: 'buffer' }),
      readlink(below(this.#right, path), { encoding: 'buffer' }),
    ])
    this.#expect(path, 'target', printable(left), printable(right))
  }

  #expect(path: Buffer, attribute: string, left: string, right: string): void {
    if (left !== right) this.differences.push({ path: printable(path), attribute, left, right })
  }
}

function below(side: Side, path: Buffer): Buffer {
  return path.length === 0 ? side.root : Buffer.concat([side.root, SLASH, path])
}

async function namesIn(directory: Buffer): Promise<Set<string>> {
  const names = await readdir(directory, { encoding: 'buffer' })
  return new Set(names.map((name) => name.toString('latin1')))
}

/**
 * If a file cannot be read, the error message stands for its hash: that is a difference, and the
 * comparison continues.
 */
async function contentHash(path: Buffer): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return hash.digest('hex')
}

function has(names: ReadonlySet<string>, name: string): string {
  return names.has(name) ? 'present' : 'absent'
}

function printable(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(
      /[^\x20-\x7e]|\\/g,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    )
}

/** The first 30 differences as text, one a line; empty if there are none. */
export function textOfDifferences(differences: readonly TreeDifference[]): string {
  const lines = differences
    .slice(0, 30)
    .map(({ path, attribute, left, right }) => `${path} ${attribute}: ${left} / ${right}`)
  const more = differences.length - lines.length
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}
