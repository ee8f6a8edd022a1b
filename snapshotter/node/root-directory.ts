/**
 * The root folder of a node. Everything below it belongs to root alone: the trees show the files of
 * private images, whatever the permissions of these files say, and the databases name them.
 */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { SnapshotterError } from '../errors.js'

/** The permission bits of the group and of others. */
const OPEN_BITS = 0o077
const MODE = 0o700
/** Names that this program, or a filesystem made for it, puts into the root. */
const OWN_NAMES =
  /^(?:cache|empty|host|lost\+found|plain|profiles|snapshots(?:\.db.*)?|trees|xattr)$/

/**
 * Creates the folder if it is missing. If other users may enter it, its mode is changed to 0700.
 * Returns the earlier mode if the mode was changed. Throws `failed-precondition` if other users may
 * enter the folder and it holds files of other programs: those programs might need it open.
 */
export async function openRootDirectory(root: string): Promise<number | undefined> {
  await mkdir(root, { recursive: true, mode: MODE })
  const mode = (await stat(root)).mode & 0o7777
  if ((mode & OPEN_BITS) === 0) return undefined
  const foreign = (await readdir(root)).find((name) => !OWN_NAMES.test(name))
  if (foreign !== undefined) {
    throw new SnapshotterError(
      'failed-precondition',
      `root ${root} may be entered by other users (mode ${mode.toString(8)}) and holds "${foreign}", ` +
        'which is not ours; set root to a folder of its own, or its mode to 0700',
    )
  }
  await chmod(root, MODE)
  return mode
}

/** The log message about a root folder whose mode was changed from `mode`. */
export function tightenedText(root: string, mode: number): string {
  return `root ${root} could be entered by other users (mode ${mode.toString(8)}): its mode is 700 now`
}
