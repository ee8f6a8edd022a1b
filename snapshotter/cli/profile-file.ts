/** Profiles as files. */
import { readFile, stat } from 'node:fs/promises'
import { type Profile, profileFromBytes } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/** Far above what `profileFromBytes` takes: nothing larger is even read. */
const MAX_FILE_BYTES = 256 * 1024 * 1024

/** Throws `invalid-argument` for a file that is not there, is too large or holds no profile. */
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
