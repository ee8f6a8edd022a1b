/** Reads profiles from files. */
import { readFile, stat } from 'node:fs/promises'
import { type Profile, profileFromBytes } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/** Larger files are not read. `profileFromBytes` accepts far less. */
const MAX_FILE_BYTES = 256 * 1024 * 1024

/** Throws `invalid-argument` for a file that cannot be read, is too large or holds no profile. */
export async function readProfile(path: string): Promise<Profile> {
  try {
    const { size } = await stat(path)
    if (size > MAX_FILE_BYTES) throw new Error(`${size} bytes are too many`)
    return profileFromBytes(await readFile(path))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SnapshotterError('invalid-argument', `profile ${path}: ${why}`, { cause })
  }
}
