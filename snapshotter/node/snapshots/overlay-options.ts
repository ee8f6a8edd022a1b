/**
 * The options that containerd's overlayfs snapshotter adds to its mounts on this kernel, detected
 * the same way.
 */
import { access, readFile } from 'node:fs/promises'

/** This file exists only if the overlay module is loaded and knows the option `index`. */
const INDEX_PARAMETER = '/sys/module/overlay/parameters/index'
/** user_namespaces(7): the initial namespace maps 0 to 2^32 - 2 to themselves. */
const INITIAL_UID_MAP = ['0', '0', '4294967295']

/**
 * The options for overlay mounts on this host. `index=off` where the kernel knows it: with the
 * index on, a lower directory that two mounts share is refused or slow. `userxattr` in a user
 * namespace: `trusted.*` attributes cannot be set there.
 */
export async function detectOverlayOptions(): Promise<readonly string[]> {
  const options: string[] = []
  if (await isInUserNamespace()) options.push('userxattr')
  if (await exists(INDEX_PARAMETER)) options.push('index=off')
  return options
}

async function isInUserNamespace(): Promise<boolean> {
  let map: string
  try {
    map = await readFile('/proc/self/uid_map', 'utf8')
  } catch {
    // A kernel without user namespaces has no such file.
    return false
  }
  const fields = map.trim().split(/\s+/)
  return fields.join(' ') !== INITIAL_UID_MAP.join(' ')
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
