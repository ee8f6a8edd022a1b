/**
 * The files of a tree in the order in which they are packed: depth first, names in byte order, so
 * that the files of one directory and of its subdirectories are neighbours. This order is part of
 * the format: the same layer gives the same packs.
 */
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { isDirectory, isRegular } from '../file-mode.js'
import { type Extent, ROOT_INO, type Tree } from '../tree/tree.js'
import type { PackInput } from './pack-files.js'

const BATCH = 1024

/** The facts about a name that packing needs. */
export interface PackEntry {
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  /** Digest of a regular file's stored bytes; may be `undefined` if there are none. */
  readonly digest: Digest | undefined
  readonly runs: readonly Extent[]
}

/** A tree that gives all these facts in one call. */
interface PackableTree {
  /** All of a directory's names, in byte order. */
  packEntries(parent: number): Iterator<PackEntry, undefined>
}

/**
 * Each regular file of `tree` with content, once, at its first name. `digestOf` gives the digest of
 * an inode's stored bytes. It is not called for a tree with `packEntries`, such as `LayerTree`.
 * Throws `invalid-layer` for a directory with two names or a file without digest. Memory grows with
 * the directories and with the files that have several names.
 */
export function* packInputsOf(
  tree: Tree & Partial<PackableTree>,
  digestOf: (ino: number) => Digest | undefined,
): Iterable<PackInput> {
  const linked = new Set<number>()
  const directories = new Set([ROOT_INO])
  const open = (ino: number): Iterator<PackEntry, undefined> =>
    tree.packEntries?.(ino) ?? entriesOf(tree, ino, digestOf)
  const stack = [open(ROOT_INO)]
  for (;;) {
    const next = stack.at(-1)?.next()
    if (next === undefined) return
    if (next.done === true) {
      stack.pop()
      continue
    }
    const { ino, mode, nlink, digest, runs } = next.value
    if (isDirectory(mode)) {
      if (directories.has(ino)) {
        const message = `pack files: inode ${ino}: a directory with two names, or below itself`
        throw new IndexFormatError('invalid-layer', message)
      }
      directories.add(ino)
      stack.push(open(ino))
    }
    if (!isRegular(mode) || linked.has(ino)) continue
    if (nlink > 1) linked.add(ino)
    if (runs.length === 0) continue
    if (digest === undefined) {
      throw new IndexFormatError('invalid-layer', `pack files: inode ${ino} has no content digest`)
    }
    yield { fileId: ino, digest, runs }
  }
}

function* entriesOf(
  tree: Tree,
  parent: number,
  digestOf: (ino: number) => Digest | undefined,
): Generator<PackEntry, undefined> {
  let cookie = 0
  for (;;) {
    const entries = tree.readdir(parent, cookie, BATCH)
    for (const { ino, mode } of entries) {
      const runs = isRegular(mode) ? tree.extents(ino) : []
      const digest = runs.length === 0 ? undefined : digestOf(ino)
      yield { ino, mode, nlink: tree.inode(ino)?.nlink ?? 1, digest, runs }
    }
    const last = entries.at(-1)
    if (last === undefined) return undefined
    cookie = last.cookie
  }
}
