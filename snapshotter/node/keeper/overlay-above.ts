/**
 * Finds out whether containers use the trees below a node's root. umount(8) does not refuse then:
 * overlayfs holds the superblock of its layers without making their mount busy.
 */
import { dirname } from 'node:path'
import { overlayMounts } from '../overlay-mounts.js'

/**
 * The mountpoint of an overlay with a layer in the folder of one of `mountpoints`; undefined where
 * there is none. containerd may give lower directories relative to that folder. The upper directory
 * is always absolute, so it is looked at, too.
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
