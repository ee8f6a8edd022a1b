/** Finds and reads the configuration file. */
import { open } from 'node:fs/promises'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import type { Config } from './config.js'
import { configFromToml } from './parse-config.js'

/** Read if no other path is given. The file need not exist. */
export const DEFAULT_CONFIG_PATH = '/etc/thin-snapshotter/config.toml'

/** A sensible configuration has at most a few hundred lines. */
const MAX_CONFIG_BYTES = 1024 * 1024

/**
 * Reads the configuration in the file `path`. If `path` is undefined, reads DEFAULT_CONFIG_PATH, or
 * returns the defaults if that file does not exist. Throws `not-found` if a named file does not
 * exist, and `invalid-argument` with one line for each fault in the file.
 */
export async function loadConfig(path: string | undefined): Promise<Config> {
  const where = path ?? DEFAULT_CONFIG_PATH
  let text: string
  try {
    text = await readBounded(where)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      if (path === undefined) return configFromToml('', where)
      throw new SnapshotterError('not-found', `read the configuration ${where}: no such file`, {
        cause: error,
      })
    }
    throw SnapshotterError.from(error, `read the configuration ${where}`)
  }
  return configFromToml(text, where)
}

async function readBounded(path: string): Promise<string> {
  const file = await open(path)
  try {
    const buffer = Buffer.alloc(MAX_CONFIG_BYTES + 1)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null)
    if (bytesRead > MAX_CONFIG_BYTES) {
      const message = `read the configuration ${path}: longer than ${MAX_CONFIG_BYTES} bytes`
      throw new SnapshotterError('invalid-argument', message)
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead))
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const message = `read the configuration ${path}: it is not UTF-8`
    throw new SnapshotterError('invalid-argument', message, { cause: error })
  } finally {
    await file.close()
  }
}
