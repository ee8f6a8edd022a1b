/**
 * Walks over trees, in the order of names, parents before children. A tree that contains itself
 * (only a damaged index does) ends the walk below the directory that was seen already.
 */
import { isDirectory } from '../file-mode.js'
import { type DirEntry, ROOT_INO, type Tree } from './tree.js'

/** Entries read from a directory at a time. */
const PAGE_ENTRIES = 1024
const SLASH = Uint8Array.of(0x2f)

/** The path of `name` in the directory at `parent`; paths have no slash in front, the root's is empty. */
export function joinPath(parent: Uint8Array, name: Uint8Array): Uint8Array {
  return parent.length === 0 ? name : Buffer.concat([parent, SLASH, name])
}

/** The entries of one directory, one after the other, read a page at a time. */
export class DirectoryCursor {
  readonly #tree: Tree
  readonly #ino: number
  #page: readonly DirEntry[] = []
  #at = 0
  #cookie = 0
  #done = false

  constructor(tree: Tree, ino: number) {
    this.#tree = tree
    this.#ino = ino
  }

  /** The entry that `next` will return; undefined at the end. */
  peek(): DirEntry | undefined {
    if (this.#at === this.#page.length && !this.#done) {
      this.#page = this.#tree.readdir(this.#ino, this.#cookie, PAGE_ENTRIES)
      this.#at = 0
      this.#cookie = this.#page.at(-1)?.cookie ?? this.#cookie
      this.#done = this.#page.length === 0
    }
    return this.#page[this.#at]
  }

  next(): DirEntry | undefined {
    const entry = this.peek()
    if (entry !== undefined) this.#at++
    return entry
  }
}

/** One name of a tree, met on a walk. */
export interface WalkedEntry {
  readonly path: Uint8Array
  readonly entry: DirEntry
}

/** Every name below directory `ino`, whose own path is `path`. */
export function* walkTree(
  tree: Tree,
  ino = ROOT_INO,
  path: Uint8Array = new Uint8Array(0),
): Generator<WalkedEntry> {
  const seen = new Set([ino])
  const stack = [{ path, cursor: new DirectoryCursor(tree, ino) }]
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const entry = top.cursor.next()
    if (entry === undefined) {
      stack.pop()
      continue
    }
    const entryPath = joinPath(top.path, entry.name)
    yield { path: entryPath, entry }
    if (isDirectory(entry.mode) && !seen.has(entry.ino)) {
      seen.add(entry.ino)
      stack.push({ path: entryPath, cursor: new DirectoryCursor(tree, entry.ino) })
    }
  }
}
