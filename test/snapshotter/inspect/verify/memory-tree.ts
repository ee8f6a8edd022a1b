/**
 * A tree in memory, for differences that no unpacked layer would have. Paths are latin1 strings
 * (one character is one byte), so that names need not be UTF-8.
 */
import type {
  DirEntry,
  Extent,
  Inode,
  RandomAccess,
  Tree,
  Xattr,
} from '../../../../index-format/index.js'
import type {
  FailedPiece,
  RawRange,
  ReadableTree,
  ReadPiece,
  StreamedTree,
} from '../../../../snapshotter/inspect/verify/readable-tree.js'

export interface FileSpec {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly nlink?: number
  readonly rdev?: number
  readonly mtimeSec?: number
  readonly mtimeNsec?: number
  readonly implied?: boolean
  readonly target?: string
  readonly xattrs?: Readonly<Record<string, string>>
  readonly content?: string
  /** The stored runs of a file with holes, in place of `content`. */
  readonly chunks?: readonly { readonly offset: number; readonly bytes: string }[]
  readonly sizeBytes?: number
  /** This name is a hard link to the file with this path. */
  readonly link?: string
}

interface Node {
  readonly inode: Inode
  readonly target: Uint8Array | undefined
  readonly xattrs: readonly Xattr[]
  readonly extents: readonly Extent[]
  readonly children: Map<string, number>
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

export class MemoryTree implements Tree, ReadableTree, StreamedTree {
  readonly tree = this
  readonly #nodes = new Map<number, Node>()
  #pack = Buffer.alloc(0)
  /** All runs that `streamPack` was asked for. */
  readonly asked: RawRange[] = []
  /** `streamPack` yields pieces of this size, in place of a real pack's frames. */
  pieceBytes = 7
  /** If set, `streamPack` yields a failure instead of the piece at this offset. */
  failAt: number | undefined
  /** `streamPack` ends before this offset. */
  endAt = Number.POSITIVE_INFINITY

  constructor(files: Readonly<Record<string, FileSpec>>) {
    this.#add('', files[''] ?? { mode: 0o040755 })
    for (const [path, spec] of Object.entries(files)) if (path !== '') this.#add(path, spec)
  }

  inode(ino: number): Inode | undefined {
    return this.#nodes.get(ino)?.inode
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#nodes.get(parent)?.children.get(Buffer.from(name).toString('latin1'))
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    const children = [...(this.#nodes.get(parent)?.children ?? [])]
      .map(([name, ino]) => ({ name: bytes(name), ino, mode: this.inode(ino)?.mode ?? 0 }))
      .sort((a, b) => Buffer.compare(a.name, b.name))
      .map((entry, at) => ({ ...entry, cookie: at + 1 }))
    return children.slice(cookie, cookie + limit)
  }

  readlink(ino: number): Uint8Array | undefined {
    return this.#nodes.get(ino)?.target
  }

  xattrs(ino: number): Xattr[] {
    return [...(this.#nodes.get(ino)?.xattrs ?? [])]
  }

  extents(ino: number): Extent[] {
    return [...(this.#nodes.get(ino)?.extents ?? [])]
  }

  content(): RandomAccess {
    const pack = this.#pack
    return {
      sizeBytes: pack.length,
      readSync: (target, offset) => {
        if (pack.copy(target, 0, offset) !== target.length) throw new RangeError('spool too short')
      },
    }
  }

  packIdentity(pack: number): string {
    return `${pack} ${this.#pack.toString('latin1')}`
  }

  async *streamPack(
    _pack: number,
    wanted: readonly RawRange[],
    signal: AbortSignal,
  ): AsyncGenerator<ReadPiece | FailedPiece> {
    this.asked.push(...wanted)
    const isWanted = (from: number, to: number): boolean =>
      wanted.some((run) => run.rawOffset < to && from < run.rawOffset + run.length)
    for (let at = 0; at < Math.min(this.#pack.length, this.endAt); at += this.pieceBytes) {
      await Promise.resolve()
      signal.throwIfAborted()
      const length = Math.min(this.pieceBytes, this.#pack.length - at)
      if (!isWanted(at, at + length)) continue
      if (this.failAt === at) yield { rawOffset: at, length, failure: `frame at ${at} is damaged` }
      else yield { rawOffset: at, length, bytes: this.#pack.subarray(at, at + length) }
    }
  }

  #add(path: string, spec: FileSpec): void {
    const slash = path.lastIndexOf('/')
    const parent = this.#resolve(slash < 0 ? '' : path.slice(0, slash))
    const ino = spec.link === undefined ? this.#nodes.size + 1 : this.#resolve(spec.link)
    if (spec.link === undefined) this.#nodes.set(ino, this.#node(ino, spec))
    if (path !== '') this.#nodes.get(parent)?.children.set(path.slice(slash + 1), ino)
  }

  #node(ino: number, spec: FileSpec): Node {
    const content = spec.content ?? ''
    const chunks = spec.chunks ?? (content === '' ? [] : [{ offset: 0, bytes: content }])
    const extents = chunks.map((chunk) => {
      const rawOffset = this.#pack.length
      this.#pack = Buffer.concat([this.#pack, bytes(chunk.bytes)])
      return { offset: chunk.offset, length: chunk.bytes.length, pack: 0, rawOffset }
    })
    const storedBytes = extents.reduce((sum, extent) => sum + extent.length, 0)
    const { target, xattrs } = spec
    const inode: Inode = {
      ino,
      mode: spec.mode ?? 0o100644,
      uid: spec.uid ?? 0,
      gid: spec.gid ?? 0,
      nlink: spec.nlink ?? 1,
      sizeBytes: spec.sizeBytes ?? target?.length ?? storedBytes,
      storedBytes,
      rdev: spec.rdev ?? 0,
      mtimeSec: spec.mtimeSec ?? 1_700_000_000,
      mtimeNsec: spec.mtimeNsec ?? 0,
      implied: spec.implied ?? false,
    }
    return {
      inode,
      target: target === undefined ? undefined : bytes(target),
      xattrs: Object.entries(xattrs ?? {})
        .sort(([a], [b]) => Buffer.compare(bytes(a), bytes(b)))
        .map(([name, value]) => ({ name: bytes(name), value: bytes(value) })),
      extents,
      children: new Map(),
    }
  }

  #resolve(path: string): number {
    let ino = 1
    for (const name of path === '' ? [] : path.split('/')) {
      const child = this.#nodes.get(ino)?.children.get(name)
      if (child === undefined) throw new RangeError(`${path}: its parent must be described first`)
      ino = child
    }
    return ino
  }
}
