/**
 * Whether containers use the trees below a node's root. umount(8) does not know: overlayfs holds
 * the superblock of its layers without making their mount busy.
 */
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * The mountpoint of an overlay whose layers are in the folder that holds `mountpoints`, if there
 * is one. containerd mounts relative to that folder, so the upper directory, which is always
 * absolute, counts as well as the lower ones.
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
