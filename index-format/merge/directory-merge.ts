/**
 * Merges the same directory of several layers, as overlayfs does when the directory is read. For
 * each name, the topmost layer that has it decides. A directory is merged with those of the layers
 * below, until an opaque mark or another kind of inode hides the rest.
 */
import { isDirectory, S_IFCHR, S_IFMT } from '../file-mode.js'
import { isOpaque, isWhiteout } from '../layer/whiteout.js'
import type { DirEntry, Tree } from '../tree/tree.js'

const BATCH = 1024

/** An inode of one layer, usually a directory. */
export interface LayerDirectory {
  /** Position in the list of layers, 0 at the bottom. */
  readonly layer: number
  readonly ino: number
}

/** One name of the merged directory. */
export interface MergedEntry {
  readonly name: Uint8Array
  readonly mode: number
  /** The inodes behind the name, topmost first: a single one, or the directories to be merged. */
  readonly stack: readonly LayerDirectory[]
}

interface Stream {
  readonly layer: number
  readonly entries: Iterator<DirEntry>
  head: DirEntry | undefined
}

/** The names of the directory merged from `stack`, topmost first. The names are in byte order. */
export function* mergedEntries(
  layers: readonly Tree[],
  stack: readonly LayerDirectory[],
): Generator<MergedEntry, void, undefined> {
  const streams = stack.map(({ layer, ino }): Stream => {
    const entries = entriesOf(layers[layer], ino)
    return { layer, entries, head: headOf(entries) }
  })
  for (;;) {
    const name = smallestName(streams)
    if (name === undefined) return
    const same: (LayerDirectory & { readonly mode: number })[] = []
    for (const stream of streams) {
      const { head } = stream
      if (head === undefined || Buffer.compare(head.name, name) !== 0) continue
      same.push({ layer: stream.layer, ino: head.ino, mode: head.mode })
      stream.head = headOf(stream.entries)
    }
    const merged = mergedEntry(layers, name, same)
    if (merged !== undefined) yield merged
  }
}

/** Whether a layer's entry is a whiteout. */
export function isWhiteoutEntry(
  layer: Tree | undefined,
  entry: { ino: number; mode: number },
): boolean {
  if ((entry.mode & S_IFMT) !== S_IFCHR) return false
  const inode = layer?.inode(entry.ino)
  return inode !== undefined && isWhiteout(inode)
}

/** `same` has the inodes of this name in each layer, topmost first. `undefined` for a whiteout. */
function mergedEntry(
  layers: readonly Tree[],
  name: Uint8Array,
  same: readonly (LayerDirectory & { readonly mode: number })[],
): MergedEntry | undefined {
  const [top] = same
  if (top === undefined || isWhiteoutEntry(layers[top.layer], top)) return undefined
  const stack: LayerDirectory[] = []
  for (const [i, { layer, ino, mode }] of same.entries()) {
    if (i > 0 && !isDirectory(mode)) break
    stack.push({ layer, ino })
    if (!isDirectory(mode)) break
    // The opaque mark is read only if a layer below has the name, which the mark would hide.
    if (i + 1 < same.length && isOpaque(layers[layer]?.xattrs(ino) ?? [])) break
  }
  return { name, mode: top.mode, stack }
}

function smallestName(streams: readonly Stream[]): Uint8Array | undefined {
  let smallest: Uint8Array | undefined
  for (const { head } of streams) {
    if (head === undefined) continue
    if (smallest === undefined || Buffer.compare(head.name, smallest) < 0) smallest = head.name
  }
  return smallest
}

function headOf(entries: Iterator<DirEntry>): DirEntry | undefined {
  const next = entries.next()
  return next.done === true ? undefined : next.value
}

function* entriesOf(tree: Tree | undefined, ino: number): Generator<DirEntry, void, undefined> {
  for (let cookie = 0; tree !== undefined;) {
    const entries = tree.readdir(ino, cookie, BATCH)
    const last = entries.at(-1)
    if (last === undefined) return
    yield* entries
    cookie = last.cookie
  }
}
