/**
 * What can be different between a thin image and its original. The kinds are closed: a report is
 * read by programs, and a test plants each of them.
 */
import { escapePath } from '../../trees/escape-name.js'

export const DIFFERENCE_KINDS = [
  /** A name of the original is not in the thin tree (for a directory: nor anything below it). */
  'missing',
  /** A name of the thin tree is not in the original (for a directory: nor anything below it). */
  'extra',
  /** A regular file here, a symbolic link there, and so on; nothing more is compared then. */
  'type',
  /** Permission, setuid, setgid and sticky bits. */
  'mode',
  'uid',
  'gid',
  'nlink',
  'size',
  'rdev',
  /** Seconds and nanoseconds. */
  'mtime',
  /** A symbolic link's target. */
  'target',
  'xattr-missing',
  'xattr-extra',
  'xattr-value',
  /** Two names are one file in one tree and two files in the other. */
  'hard-link',
  /** A directory of a layer that the archive names in one tree and only implies in the other. */
  'implied',
  /** The bytes of a regular file. */
  'content',
  /** The bytes of a regular file cannot be had from the store, or are not what their digest says. */
  'unreadable',
  /** An image configuration field. */
  'config',
  /** An annotation of a manifest. */
  'annotation',
  /** A platform of the original that the thin image lacks, or the other way round. */
  'platform',
  /** The recipe does not name the original's layers. */
  'recipe',
  /** An index that is missing, damaged, or not the same wherever it is stored. */
  'index',
] as const

export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number]

export interface Difference {
  readonly kind: DifferenceKind
  /** Of the image that differs; absent where trees are compared, not images. */
  readonly platform?: string
  /** Which of the trees that were compared; absent where the difference is not in a tree. */
  readonly tree?: string
  /** Raw bytes, from the root of the tree, without a slash in front; empty for the root and where no path applies. */
  readonly path: Uint8Array
  /** What the original has, in words safe to print. */
  readonly expected: string
  /** What the thin image has, in words safe to print. */
  readonly actual: string
  /** The name of the attribute, of the configuration field or of the annotation that differs. */
  readonly name?: string
  /** Of `content`: the first byte that differs. */
  readonly offset?: number
}

/** A difference as JSON has it; the path is escaped, since JSON has no bytes. */
export interface DifferenceJson {
  readonly kind: DifferenceKind
  readonly platform?: string
  readonly tree?: string
  /** Absent where the difference is not in a tree. */
  readonly path?: string
  readonly name?: string
  readonly offset?: number
  readonly expected: string
  readonly actual: string
}

export function jsonFromDifference({ path, ...rest }: Difference): DifferenceJson {
  return rest.tree === undefined ? rest : { ...rest, path: `/${escapePath(path)}` }
}

/** One line for people. */
export function textFromDifference(difference: Difference): string {
  const { actual, expected, kind, name, offset, path, platform, tree } = difference
  const place = [
    platform,
    tree,
    tree === undefined ? undefined : `/${escapePath(path)}`,
    name,
    offset === undefined ? undefined : `at offset ${offset}`,
  ]
  const where = place.filter((part) => part !== undefined).join(' ')
  return `${kind}: ${where}: expected ${expected}, found ${actual}`
}
