/**
 * Walks two trees at once and compares names, attributes and hard links. The walk enters a
 * directory only if both trees have it. The original's tree is finite, so a thin tree cannot make
 * the walk endless.
 */
import {
  DirectoryCursor,
  type DirEntry,
  isDirectory,
  isRegular,
  joinPath,
  pathsOf,
  ROOT_INO,
  type Tree,
} from '../../../index-format/index.js'
import { escapePath } from '../../trees/escape-name.js'
import { compareInodes, typeName } from './compare-inodes.js'
import type { Difference } from './difference.js'
import { InoMap } from './ino-map.js'
import type { TreePair } from './readable-tree.js'

/** The inodes that one name has in the two trees. */
export interface InodePair {
  readonly expectedIno: number
  readonly actualIno: number
}

export interface CompareNamesHooks {
  /** Called for each pair of regular files of equal size, once. */
  onFiles(pair: InodePair): void
  /** Called for each name that was compared. */
  onName(): void
}

/** Names compared between two pauses. */
const NAMES_PER_PAUSE = 4096
/** Hard-link differences that are kept before the other names of their inodes are looked up. */
const MAX_PENDING_LINKS = 1000

export class NameComparison {
  readonly #expected: Tree
  readonly #actual: Tree
  readonly #hooks: CompareNamesHooks
  readonly #actualOf = new InoMap()
  readonly #expectedOf = new InoMap()
  #pending: PendingLink[] = []

  constructor(trees: TreePair, hooks: CompareNamesHooks) {
    this.#expected = trees.expected.tree
    this.#actual = trees.actual.tree
    this.#hooks = hooks
  }

  /**
   * Yields every difference except those of content. Yields `undefined` after every NAMES_PER_PAUSE
   * names, so that the caller can let other work run.
   */
  *differences(): Generator<Difference | undefined> {
    const root = { expectedIno: ROOT_INO, actualIno: ROOT_INO }
    const noPath = new Uint8Array(0)
    yield* this.#compareAttributes(noPath, root)
    const stack = [this.#directory(noPath, root)]
    let names = 0
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const step = nextNames(top)
      if (step === undefined) {
        stack.pop()
        continue
      }
      const path = joinPath(top.path, step.name)
      this.#hooks.onName()
      if (++names % NAMES_PER_PAUSE === 0) yield undefined
      const pair = yield* this.#compareEntries(path, step)
      if (pair !== undefined) stack.push(this.#directory(path, pair))
      if (this.#pending.length >= MAX_PENDING_LINKS) yield* this.#flushLinks()
    }
    yield* this.#flushLinks()
  }

  #directory(path: Uint8Array, pair: InodePair): OpenDirectories {
    return {
      path,
      expected: new DirectoryCursor(this.#expected, pair.expectedIno),
      actual: new DirectoryCursor(this.#actual, pair.actualIno),
    }
  }

  /**
   * Returns the pair of directories to walk next, if both entries are directories that are new to
   * the walk.
   */
  *#compareEntries(path: Uint8Array, step: NameStep): Generator<Difference, InodePair | undefined> {
    const { expected, actual } = step
    if (actual === undefined) {
      yield { kind: 'missing', path, expected: typeName(expected?.mode ?? 0), actual: 'nothing' }
      return undefined
    }
    if (expected === undefined) {
      yield { kind: 'extra', path, expected: 'nothing', actual: typeName(actual.mode) }
      return undefined
    }
    const pair = { expectedIno: expected.ino, actualIno: actual.ino }
    const known = this.#knownPair(path, pair)
    if (!known) yield* this.#compareAttributes(path, pair)
    return !known && isDirectory(expected.mode) && isDirectory(actual.mode) ? pair : undefined
  }

  *#compareAttributes(path: Uint8Array, pair: InodePair): Generator<Difference> {
    const expected = this.#expected.inode(pair.expectedIno)
    const actual = this.#actual.inode(pair.actualIno)
    if (expected === undefined || actual === undefined) {
      const words = (there: boolean): string => (there ? 'an inode' : 'a name without an inode')
      const found = { expected: words(expected !== undefined), actual: words(actual !== undefined) }
      yield { kind: 'index', path, ...found }
      return
    }
    yield* compareInodes(
      path,
      { tree: this.#expected, inode: expected },
      { tree: this.#actual, inode: actual },
    )
    const bothFiles = isRegular(expected.mode) && isRegular(actual.mode)
    if (bothFiles && expected.sizeBytes === actual.sizeBytes) this.#hooks.onFiles(pair)
  }

  /**
   * Returns true if this pair was compared under an earlier name. Records a hard-link difference if
   * two names are one file in one tree only.
   */
  #knownPair(path: Uint8Array, pair: InodePair): boolean {
    const knownActual = this.#actualOf.get(pair.expectedIno)
    const knownExpected = this.#expectedOf.get(pair.actualIno)
    if (knownActual === undefined) this.#actualOf.set(pair.expectedIno, pair.actualIno)
    if (knownExpected === undefined) this.#expectedOf.set(pair.actualIno, pair.expectedIno)
    if (knownActual === undefined && knownExpected === undefined) return false
    if (knownActual === pair.actualIno) return true
    this.#pending.push({
      path,
      expectedIno: knownActual === undefined ? undefined : pair.expectedIno,
      actualIno: knownExpected === undefined ? undefined : pair.actualIno,
    })
    return false
  }

  *#flushLinks(): Generator<Difference> {
    const pending = this.#pending
    this.#pending = []
    const expectedPaths = firstPaths(this.#expected, pending, (link) => link.expectedIno)
    const actualPaths = firstPaths(this.#actual, pending, (link) => link.actualIno)
    for (const { path, expectedIno, actualIno } of pending) {
      const expected = linkWords(expectedPaths, expectedIno)
      yield { kind: 'hard-link', path, expected, actual: linkWords(actualPaths, actualIno) }
    }
  }
}

interface OpenDirectories {
  readonly path: Uint8Array
  readonly expected: DirectoryCursor
  readonly actual: DirectoryCursor
}

interface NameStep {
  readonly name: Uint8Array
  readonly expected: DirEntry | undefined
  readonly actual: DirEntry | undefined
}

/**
 * A name whose inode has an earlier name. The inode number is set for each tree in which that is
 * so.
 */
interface PendingLink {
  readonly path: Uint8Array
  readonly expectedIno: number | undefined
  readonly actualIno: number | undefined
}

/** Takes the next name of two directories that are both sorted by the bytes of their names. */
function nextNames({ expected, actual }: OpenDirectories): NameStep | undefined {
  const [a, b] = [expected.peek(), actual.peek()]
  const first = a ?? b
  if (first === undefined) return undefined
  const order = a === undefined ? 1 : b === undefined ? -1 : Buffer.compare(a.name, b.name)
  return {
    name: order <= 0 ? first.name : (b ?? first).name,
    expected: order <= 0 ? expected.next() : undefined,
    actual: order >= 0 ? actual.next() : undefined,
  }
}

function firstPaths(
  tree: Tree,
  pending: readonly PendingLink[],
  inoOf: (link: PendingLink) => number | undefined,
): Map<number, Uint8Array> {
  return pathsOf(tree, new Set(pending.flatMap((link) => inoOf(link) ?? [])))
}

function linkWords(paths: ReadonlyMap<number, Uint8Array>, ino: number | undefined): string {
  if (ino === undefined) return 'a file of its own'
  const path = paths.get(ino)
  return path === undefined ? `a link to inode ${ino}` : `a link to /${escapePath(path)}`
}
