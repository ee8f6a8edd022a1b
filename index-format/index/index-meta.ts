/**
 * The meta table of an index: its kind and its counts. They tell a reader the class of superblock
 * and the size of the tree, so that it need not walk the tree.
 */
import { MAX_INO, MAX_PACKS } from '../limits.js'
import { IndexFormatError } from '../errors.js'
import { integerFromRow } from './row.js'

/** `layer`: one image layer in overlayfs form. `merged`: a whole image, flattened. */
export type IndexKind = 'layer' | 'merged'

/** The meta table. */
export interface IndexMeta {
  readonly kind: IndexKind
  /** Inodes, the root included. */
  readonly inodes: number
  /** Names; the root has none. */
  readonly entries: number
  /** Regular files, a hard-linked one once. */
  readonly files: number
  /** Sum of the regular files' sizes, holes included. */
  readonly sizeBytes: number
  /** Bytes that extents cover. Content that several files share counts once for each file. */
  readonly storedBytes: number
  /** Packs the tree refers to. */
  readonly packs: number
  /** Frames of those packs. */
  readonly frames: number
  /** Whether any inode has extended attributes, overlayfs's own included. */
  readonly xattrs: boolean
}

const KINDS: readonly IndexKind[] = ['layer', 'merged']

/** The rows of the meta table in key order: [key, value]. */
export function rowsFromMeta(meta: IndexMeta): [string, number][] {
  return [
    ['entries', meta.entries],
    ['files', meta.files],
    ['frames', meta.frames],
    ['inodes', meta.inodes],
    ['kind', KINDS.indexOf(meta.kind)],
    ['packs', meta.packs],
    ['size', meta.sizeBytes],
    ['stored', meta.storedBytes],
    ['xattrs', meta.xattrs ? 1 : 0],
  ]
}

/** Parses the meta table. Throws `invalid-index`, also for an unknown key: version 1 has none. */
export function metaFromRows(rows: readonly unknown[][]): IndexMeta {
  const values = new Map(rows.map((row) => [row[0], row[1]]))
  const field = (key: string, max: number): number => {
    const value = values.get(key)
    values.delete(key)
    return integerFromRow(value, 0, max, 'meta', key, 'value')
  }
  const meta = {
    entries: field('entries', Number.MAX_SAFE_INTEGER),
    files: field('files', MAX_INO),
    frames: field('frames', Number.MAX_SAFE_INTEGER),
    inodes: field('inodes', MAX_INO),
    kind: KINDS[field('kind', KINDS.length - 1)] ?? 'layer',
    packs: field('packs', MAX_PACKS),
    sizeBytes: field('size', Number.MAX_SAFE_INTEGER),
    storedBytes: field('stored', Number.MAX_SAFE_INTEGER),
    xattrs: field('xattrs', 1) === 1,
  }
  if (values.size > 0) {
    const unknown = [...values.keys()].map((key) => JSON.stringify(key)).join(', ')
    throw new IndexFormatError('invalid-index', `table meta: unknown key ${unknown.slice(0, 200)}`)
  }
  return meta
}
