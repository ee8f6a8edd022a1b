/**
 * The differences between a thin image and its original. The list of kinds is closed, because
 * programs read the reports. A test plants each kind.
 */
import { escapePath } from '../../trees/escape-name.js'

export const DIFFERENCE_KINDS = [
  /** A name of the original is not in the thin tree (for a directory: nor anything below it). */
  'missing',
  /** A name of the thin tree is not in the original (for a directory: nor anything below it). */
  'extra',
  /**
   * A name has different types, such as regular file and symbolic link. Nothing more is compared
   * then.
   */
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
  /** The bytes of a regular file cannot be read from the store, or do not have their digest. */
  'unreadable',
  /** An image configuration field. */
  'config',
  /** An annotation of a manifest. */
  'annotation',
  /** A platform of the original that the thin image lacks, or the other way round. */
  'platform',
  /** The recipe does not name the original's layers. */
  'recipe',
  /** An index that is missing or damaged in one of the places that should have it. */
  'index',
] as const

export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number]

export interface Difference {
  readonly kind: DifferenceKind
  /** Platform of the image that differs; absent if trees are compared, not images. */
  readonly platform?: string
  /** Name of the pair of trees; absent if the difference is not in a tree. */
  readonly tree?: string
  /**
   * Path in raw bytes from the root of the tree, without a slash in front. Empty for the root and
   * for differences without a path.
   */
  readonly path: Uint8Array
  /** The original's side, in words safe to print. */
  readonly expected: string
  /** The thin image's side, in words safe to print. */
  readonly actual: string
  /** Name of the attribute, configuration field or annotation that differs. */
  readonly name?: string
  /** For `content`: offset of the first byte that differs. */
  readonly offset?: number
}

/** A difference in JSON. The path is escaped, because JSON has no bytes. */
export interface DifferenceJson {
  readonly kind: DifferenceKind
  readonly platform?: string
  readonly tree?: string
  /** Absent if the difference is not in a tree. */
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
