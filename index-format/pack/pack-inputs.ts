/**
 * The files of a tree in the order in which they are packed: depth first, names in byte order, so
 * that the files of one directory and of its subdirectories are neighbours. This order is part of
 * the format: the same layer gives the same packs.
 */
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { isDirectory, isRegular } from '../file-mode.js'
import { type DirEntry, ROOT_INO, type Tree } from '../tree/tree.js'
import type { PackInput } from './pack-files.js'

const BATCH = 1024

/**
 * Each regular file of `tree` with content, once, at its first name. `digestOf` gives the digest of
 * an inode's stored bytes, as `LayerTree.contentDigest` does. Memory grows with the directories and with the files that have
 * several names.
 */
export function* packInputsOf(
  tree: Tree,
  digestOf: (ino: number) => Digest | undefined,
): Iterable<PackInput> {
  const linked = new Set<number>()
  const directories = new Set([ROOT_INO])
  const stack = [entriesOf(tree, ROOT_INO)]
  for (;;) {
    const next = stack.at(-1)?.next()
    if (next === undefined) return
    if (next.done === true) {
      stack.pop()
      continue
    }
    const { ino, mode } = next.value
    if (isDirectory(mode)) {
      if (directories.has(ino)) {
        const message = `pack files: inode ${ino}: a directory with two names, or below itself`
        throw new IndexFormatError('invalid-layer', message)
      }
      directories.add(ino)
      stack.push(entriesOf(tree, ino))
    }
    if (!isRegular(mode) || linked.has(ino)) continue
    if ((tree.inode(ino)?.nlink ?? 1) > 1) linked.add(ino)
    const runs = tree.extents(ino)
    if (runs.length === 0) continue
    const digest = digestOf(ino)
    if (digest === undefined) {
      throw new IndexFormatError('invalid-layer', `pack files: inode ${ino} has no content digest`)
    }
    yield { fileId: ino, digest, runs }
  }
}

function* entriesOf(tree: Tree, ino: number): Generator<DirEntry, undefined> {
  let cookie = 0
  for (;;) {
    const entries = tree.readdir(ino, cookie, BATCH)
    yield* entries
    const last = entries.at(-1)
    if (last === undefined) return undefined
    cookie = last.cookie
  }
}
