/**
 * Compares two directories entry by entry, through the kernel only: it knows nothing of how either
 * is served. Names are bytes. What differs is reported by path and attribute; an empty report means
 * that no program can tell the two apart by reading.
 */
import { createHash } from 'node:crypto'
import { type BigIntStats, constants, createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { xattrsBelow } from './xattrs-below.js'

export interface TreeDifference {
  /** From the root of the trees, with bytes that are not printable ASCII as \xHH. */
  readonly path: string
  /** Which attribute, or `entry` for a name that only one tree has. */
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
   * When the left tree was unpacked, in milliseconds since 1970. A directory that no layer names,
   * only its children, gets the time of unpacking from containerd: such a time is not the image's,
   * and is not compared. Default: every time is compared.
   */
  readonly leftUnpackedMs?: number
}

/** Compares what is below the directories `left` and `right`, their own attributes included. */
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
  /** Path below the root, in latin1, to its attributes as one canonical line. */
  readonly xattrs: ReadonlyMap<string, string>
  /** Inode number to the first path it was met under. */
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

  /** True when the two are not even of the same type. */
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
      // What a directory's size means is each filesystem's own business.
      size: (stats) => (isDirectory(stats) ? '' : String(stats.size)),
      // The first name of the same inode: hard links must join the same names on both sides.
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

/** A file that cannot be read has the error as its content: a difference, not an end. */
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

/** The first differences for a person to read, one a line; empty where there are none. */
export function textOfDifferences(differences: readonly TreeDifference[]): string {
  const lines = differences
    .slice(0, 30)
    .map(({ path, attribute, left, right }) => `${path} ${attribute}: ${left} / ${right}`)
  const more = differences.length - lines.length
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}
