/**
 * Finds out whether containers use the trees below a node's root. umount(8) does not refuse then:
 * overlayfs holds the superblock of its layers without making their mount busy.
 */
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * The mountpoint of an overlay with a layer in the folder of one of `mountpoints`; undefined where
 * there is none. containerd may give lower directories relative to that folder. The upper directory
 * is always absolute, so it is looked at, too.
 */
export async function overlayAbove(mountpoints: readonly string[]): Promise<string | undefined> {
  const folders = new Set(mountpoints.map((path) => `${dirname(path)}/`))
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const [before, after] = line.split(' - ', 2)
    if (after?.startsWith('overlay ') !== true) continue
    for (const folder of folders) {
      const names = [`lowerdir=${folder}`, `upperdir=${folder}`, `:${folder}`]
      if (names.some((name) => after.includes(name))) return before?.split(' ')[4]
    }
  }
  return undefined
}
