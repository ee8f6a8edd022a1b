/**
 * A tree in memory, described by a list of members, with its content in packs. The suites write it
 * into an index and look at it through a mount. Paths are latin1 strings: one character is one
 * byte.
 */
import { createHash } from 'node:crypto'
import {
  type DirEntry,
  type Extent,
  type Frame,
  type Inode,
  type PackTable,
  ROOT_INO,
  type Tree,
  type Xattr,
  digestOf,
} from '../../../index-format/index.js'

type Segment = Uint8Array | { readonly hole: number }

export interface Member {
  /** In latin1, without leading slash; '' is the root. Parents must come before their children. */
  readonly path: string
  readonly mode: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: readonly [number, number]
  readonly content?: readonly Segment[]
  readonly target?: string
  readonly rdev?: number
  readonly xattrs?: Readonly<Record<string, Uint8Array>>
  /** This member is another name (a hard link) of the earlier member with this path. */
  readonly linkTo?: string
}

export interface SamplePack {
  readonly table: PackTable
  readonly raw: Uint8Array
}

const FRAME_RAW_BYTES = 65_536
const S_IFMT = 0o170000
const S_IFDIR = 0o040000

interface Node {
  ino: number
  readonly member: Member
  readonly children: Map<string, Node>
  nlink: number
  extents: Extent[]
}

export class SampleTree implements Tree {
  readonly pack: SamplePack
  readonly #nodes: Node[] = []
  readonly #byPath = new Map<string, Node>()

  constructor(members: readonly Member[]) {
    const chunks: Uint8Array[] = []
    let rawOffset = 0
    for (const member of members) {
      const linked = member.linkTo === undefined ? undefined : this.#byPath.get(member.linkTo)
      const node: Node = linked ?? { ino: 0, member, children: new Map(), nlink: 0, extents: [] }
      node.nlink++
      if (isDirectory(member.mode) && linked === undefined) node.nlink = 2
      this.#byPath.set(member.path, node)
      if (member.path !== '') this.#adopt(member.path, node)
      let offset = 0
      for (const segment of linked === undefined ? (member.content ?? []) : []) {
        if (segment instanceof Uint8Array) {
          node.extents.push({ offset, length: segment.length, pack: 0, rawOffset })
          chunks.push(segment)
          rawOffset += segment.length
          offset += segment.length
        } else offset += segment.hole
      }
    }
    this.pack = packOf(Buffer.concat(chunks))
    this.#number()
  }

  inode(ino: number): Inode | undefined {
    const node = this.#nodes[ino - 1]
    if (node === undefined) return undefined
    const { member } = node
    const sizes = (member.content ?? []).map((part) =>
      part instanceof Uint8Array ? part.length : part.hole,
    )
    const contentBytes = sizes.reduce((sum, size) => sum + size, 0)
    return {
      ino,
      mode: member.mode,
      uid: member.uid ?? 0,
      gid: member.gid ?? 0,
      nlink: node.nlink,
      sizeBytes: isDirectory(member.mode) ? 4096 : (member.target?.length ?? contentBytes),
      storedBytes: node.extents.reduce((sum, extent) => sum + extent.length, 0),
      rdev: member.rdev ?? 0,
      mtimeSec: member.mtime?.[0] ?? 1_600_000_000,
      mtimeNsec: member.mtime?.[1] ?? 0,
      implied: false,
    }
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#nodes[parent - 1]?.children.get(Buffer.from(name).toString('latin1'))?.ino
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    const names = [...(this.#nodes[parent - 1]?.children ?? [])].sort(byName)
    return names.slice(cookie, cookie + limit).map(([name, node], at) => ({
      name: Buffer.from(name, 'latin1'),
      ino: node.ino,
      mode: node.member.mode,
      cookie: cookie + at + 1,
    }))
  }

  readlink(ino: number): Uint8Array | undefined {
    const target = this.#nodes[ino - 1]?.member.target
    return target === undefined ? undefined : Buffer.from(target, 'latin1')
  }

  xattrs(ino: number): Xattr[] {
    return Object.entries(this.#nodes[ino - 1]?.member.xattrs ?? {})
      .sort(byName)
      .map(([name, value]) => ({ name: Buffer.from(name, 'latin1'), value }))
  }

  extents(ino: number): Extent[] {
    return this.#nodes[ino - 1]?.extents ?? []
  }

  #adopt(path: string, node: Node): void {
    const slash = path.lastIndexOf('/')
    const parent = this.#byPath.get(path.slice(0, Math.max(0, slash)))
    if (parent === undefined) throw new Error(`sample tree: ${path} comes before its directory`)
    parent.children.set(path.slice(slash + 1), node)
    if (isDirectory(node.member.mode)) parent.nlink++
  }

  #number(): void {
    const root = this.#byPath.get('')
    if (root === undefined) throw new Error('sample tree: no root')
    root.ino = ROOT_INO
    this.#nodes.push(root)
    for (const node of this.#nodes) {
      for (const [, child] of [...node.children].sort(byName)) {
        if (child.ino !== 0) continue
        this.#nodes.push(child)
        child.ino = this.#nodes.length
      }
    }
  }
}

/** Makes bytes that differ from block to block and from seed to seed. */
export function patternBytes(sizeBytes: number, seed: string): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  const block = createHash('sha512').update(seed).digest()
  for (let at = 0; at < sizeBytes; at += 64) {
    block.writeUInt32LE(at / 64, 0)
    block.copy(bytes, at, 0, Math.min(64, sizeBytes - at))
  }
  return bytes
}

function packOf(raw: Buffer): SamplePack {
  const frames: Frame[] = []
  for (let at = 0; at < raw.length; at += FRAME_RAW_BYTES) {
    const bytes = raw.subarray(at, at + FRAME_RAW_BYTES)
    const place = { rawOffset: at, rawSizeBytes: bytes.length, offset: at, sizeBytes: bytes.length }
    frames.push({ ...place, digest: digestOf(bytes) })
  }
  const table = {
    digest: digestOf(raw),
    sizeBytes: raw.length + 100,
    rawSizeBytes: raw.length,
    frames,
  }
  return { table, raw }
}

function isDirectory(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return Buffer.compare(Buffer.from(a[0], 'latin1'), Buffer.from(b[0], 'latin1'))
}
