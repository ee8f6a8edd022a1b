/** Where the FUSE superblocks of a node are: part of every lowerdir, so the names stay for ever. */
import { join } from 'node:path'
import type { TreeClass } from '../../fusefs/index.js'

export const TREE_CLASSES: readonly TreeClass[] = ['plain', 'xattr']

/** The mountpoint of each class. Short: 128 lowerdirs have to fit in one page of mount options. */
export function mountpointsUnder(root: string): Readonly<Record<TreeClass, string>> {
  return { plain: join(root, 'plain'), xattr: join(root, 'xattr') }
}
