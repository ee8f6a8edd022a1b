/**
 * Whether containers use the trees below a node's root. umount(8) does not know: overlayfs holds
 * the superblock of its layers without making their mount busy.
 */
import { dirname } from 'node:path'
import { overlayMounts } from '../overlay-mounts.js'

/**
 * The mountpoint of an overlay whose layers are in the folder that holds `mountpoints`, if there
 * is one. containerd mounts relative to that folder, so the upper directory, which is always
 * absolute, counts as well as the lower ones.
 */
export async function overlayAbove(mountpoints: readonly string[]): Promise<string | undefined> {
  const folders = [...new Set(mountpoints.map((path) => `${dirname(path)}/`))]
  const above = (await overlayMounts()).find(({ lowerDirectories, upperDirectory }) =>
    [...lowerDirectories, upperDirectory ?? ''].some((path) =>
      folders.some((folder) => path.startsWith(folder)),
    ),
  )
  return above?.mountpoint
}
