/** Finds and reads the configuration file. */
import { open } from 'node:fs/promises'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import type { Config } from './config.js'
import { configFromToml } from './parse-config.js'

/** Read if no other is named; need not exist. */
export const DEFAULT_CONFIG_PATH = '/etc/thin-snapshotter/config.toml'

/** The longest configuration that makes sense has a few hundred lines. */
const MAX_CONFIG_BYTES = 1024 * 1024

/**
 * The configuration in the file `path`; undefined: that in the default place, or the defaults where
 * there is none. Throws `not-found` for a named file that does not exist, `invalid-argument` with
 * everything that is wrong in it, one line each.
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
