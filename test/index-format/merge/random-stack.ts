/**
 * Random stacks of layers that containerd can unpack. Members come in any order and replace each
 * other. The layers have whiteouts, opaque directories, changes of type, links, and directories
 * that no member names.
 */
import type { FixtureMember } from '../tar/tar-fixture.js'

const NAMES = ['a', 'b', 'c', 'd']
const MEMBERS_PER_LAYER = 24

/** Random numbers from a seed, the same on every machine (mulberry32). */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.below(values.length)] ?? values[0]
  }
}

/** Returns the members of each layer, bottom first. */
export function randomStack(seed: number): FixtureMember[][] {
  const random = new Random(seed)
  const layers: RandomLayer[] = []
  for (let left = 2 + random.below(4); left > 0; left--) {
    layers.push(new RandomLayer(random, [...layers]))
  }
  return layers.map((layer) => layer.members())
}

type Kind = 'directory' | 'file' | 'symlink' | 'other' | 'whiteout'

class RandomLayer {
  readonly #random: Random
  readonly #below: readonly RandomLayer[]
  /** The kind of each path that the layer has so far. */
  readonly #state = new Map<string, Kind>()
  /** Directories that members name. containerd looks up their paths again at the end of a layer. */
  readonly #named = new Set<string>()
  readonly #members: FixtureMember[] = []

  constructor(random: Random, below: readonly RandomLayer[]) {
    this.#random = random
    this.#below = below
    while (this.#members.length < MEMBERS_PER_LAYER) this.#add(this.#path())
  }

  members(): FixtureMember[] {
    return this.#members
  }

  get #isLowest(): boolean {
    return this.#below.length === 0
  }

  /**
   * Whether containerd would find a file among the parents of `path` when it looks for `path` in
   * this layer.
   */
  #blocks(path: string): boolean {
    return parentsOf(path).some((parent) => {
      const kind = this.#state.get(parent)
      return kind !== undefined && kind !== 'directory' && kind !== 'symlink'
    })
  }

  #path(): string {
    const depth = 1 + this.#random.below(3)
    return Array.from({ length: depth }, () => NAMES[this.#random.below(NAMES.length)]).join('/')
  }

  #add(path: string): void {
    const parents = parentsOf(path)
    // containerd does not unpack a member below a non-directory of the same layer.
    if (parents.some((parent) => (this.#state.get(parent) ?? 'directory') !== 'directory')) return
    const implied = parents.filter((parent) => !this.#state.has(parent))
    if (implied.some((parent) => this.#below.some((layer) => layer.#blocks(parent)))) return
    const chance = this.#random.below(100)
    if (chance < 14) this.#whiteout(path)
    else if (chance < 22) this.#opaque(path)
    else if (chance < 32) this.#link(path)
    else this.#inode(path, chance)
  }

  #inode(path: string, chance: number): void {
    const random = this.#random
    const common = {
      path,
      uid: random.below(3),
      gid: random.below(3),
      mode: random.pick([0o755, 0o700, 0o2755, 0o1777, 0o4711, 0o640]),
      mtime: random.below(2 ** 31),
      ...(random.below(4) === 0 ? { xattrs: { 'user.x': String(random.below(100)) } } : {}),
    }
    if (chance < 55) {
      // If a layer names a directory after its content, containerd keeps the attributes of lower
      // layers. We do not follow that, see FORMAT.md, "Where we do not follow containerd".
      if (this.#state.get(path) === 'directory' && !this.#named.has(path)) return
      if (this.#state.get(path) !== 'directory') this.#drop(path)
      this.#push('directory', { ...common, path: `${path}/` })
      this.#named.add(path)
      return
    }
    if (!this.#isReplaceable(path)) return
    this.#drop(path)
    if (chance < 85) this.#push('file', { ...common, body: `${path} ${random.below(1000)}` })
    else if (chance < 94) this.#push('symlink', { ...common, type: '2', link: this.#target(path) })
    else if (chance < 97) this.#push('other', { ...common, type: '6' })
    else this.#push('other', { ...common, type: '3', devMajor: 5, devMinor: random.below(300) })
  }

  /** A target begins with a later letter than the link's path, so that links form no loop. */
  #target(path: string): string {
    const later = NAMES.filter((name) => name > path.slice(0, 1))
    const first = later[this.#random.below(later.length + 1)] ?? 'nowhere'
    return this.#random.below(2) === 0
      ? `/${first}`
      : `/${first}/${NAMES[this.#random.below(4)] ?? ''}`
  }

  #link(path: string): void {
    const targets = [...this.#state].filter(
      ([name, kind]) =>
        (kind === 'file' || kind === 'symlink') && name !== path && !name.startsWith(`${path}/`),
    )
    const [target, kind] = targets[this.#random.below(targets.length)] ?? []
    if (target === undefined || kind === undefined || !this.#isReplaceable(path)) return
    this.#drop(path)
    this.#push(kind, {
      path,
      type: '1',
      link: target,
      uid: this.#random.below(3),
      mtime: this.#random.below(1000),
    })
  }

  #whiteout(path: string): void {
    // If the layer itself has the name, containerd's mknod fails.
    if (this.#state.has(path)) return
    const at = path.lastIndexOf('/') + 1
    this.#push(
      this.#isLowest ? undefined : 'whiteout',
      {
        path: `${path.slice(0, at)}.wh.${path.slice(at)}`,
      },
      path,
    )
  }

  #opaque(path: string): void {
    // In the lowest layer, containerd's opaque marker removes directories that are only implied.
    // overlayfs has no such rule.
    const parent = parentsOf(path).at(-1)
    if (this.#isLowest || parent === undefined) return
    this.#push(undefined, { path: `${parent}/.wh..wh..opq` }, path)
  }

  #push(kind: Kind | undefined, member: FixtureMember, at?: string): void {
    const path = at ?? (typeof member.path === 'string' ? member.path.replace(/\/$/, '') : '')
    for (const parent of parentsOf(path)) this.#state.set(parent, 'directory')
    if (kind !== undefined) this.#state.set(path, kind)
    this.#members.push(member)
  }

  /**
   * Whether `path` may be replaced. It may not be if it is, or has below it, a directory that a
   * member names: at the end of the layer, containerd would find a link in its place, or not find
   * its parent.
   */
  #isReplaceable(path: string): boolean {
    return ![...this.#named].some((name) => name === path || name.startsWith(`${path}/`))
  }

  #drop(path: string): void {
    for (const known of [...this.#state.keys()]) {
      if (known === path || known.startsWith(`${path}/`)) this.#state.delete(known)
    }
  }
}

function parentsOf(path: string): string[] {
  const names = path.split('/')
  return names.slice(0, -1).map((_, i) => names.slice(0, i + 1).join('/'))
}
