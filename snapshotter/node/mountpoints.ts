/**
 * The mountpoints of a node's FUSE superblocks. They are part of the lowerdirs of existing
 * containers, so their names must never change.
 */
import { join } from 'node:path'
import type { TreeClass } from '../../fusefs/index.js'

export const TREE_CLASSES: readonly TreeClass[] = ['plain', 'xattr']

/**
 * The mountpoint of each class. The names are short, because 128 lowerdirs have to fit in one page
 * of mount options.
 */
export function mountpointsUnder(root: string): Readonly<Record<TreeClass, string>> {
  return { plain: join(root, 'plain'), xattr: join(root, 'xattr') }
}
