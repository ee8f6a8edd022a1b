/**
 * Decides whether a layer that containerd has just unpacked is thin. A thin layer holds `thin.json`
 * and nothing else but, optionally: the embedded index, startup pages, a startup plan, and a guess.
 *
 * Synchronous, because containerd wrote these few bytes a moment ago. The system calls take 0.1 ms;
 * ten turns of libuv's thread pool took 4 ms of every pull.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import {
  EMBEDDED_INDEX_FILE_NAME,
  GUESS_FILE_NAME,
  MAX_RECIPE_BYTES,
  RECIPE_FILE_NAME,
  type Recipe,
  recipeFromBytes,
  STARTUP_PAGES_FILE_NAME,
  STARTUP_PLAN_FILE_NAME,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

/**
 * The recipe in `fsDir`; undefined for an ordinary layer. A layer is ordinary if it has no
 * `thin.json`, if `thin.json` is not a regular file (links are not followed), or if it holds any
 * file that no thin layer has. Throws `invalid-content` where a thin layer's `thin.json` is no
 * recipe: served as an ordinary layer, the image would be empty.
 */
export function readRecipe(fsDir: string, log: Logger): Recipe | undefined {
  const path = join(fsDir, RECIPE_FILE_NAME)
  if (!isRegularFile(path)) return undefined
  const other = otherEntry(fsDir)
  if (other !== undefined) {
    log.debug({ path, other }, 'a thin.json that is not alone: the layer is ordinary')
    return undefined
  }
  const bytes = readBounded(path)
  try {
    return recipeFromBytes(bytes)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SnapshotterError('invalid-content', `recipe ${path}: ${reason}`, { cause: error })
  }
}

const BESIDE_RECIPE: readonly string[] = [
  EMBEDDED_INDEX_FILE_NAME,
  STARTUP_PLAN_FILE_NAME,
  STARTUP_PAGES_FILE_NAME,
  GUESS_FILE_NAME,
]

/** A name in `fsDir` that no thin layer has. Reads no entry after the first such name. */
function otherEntry(fsDir: string): string | undefined {
  const directory = opendirSync(fsDir)
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      const { name } = entry
      if (name === RECIPE_FILE_NAME) continue
      if (BESIDE_RECIPE.includes(name) && isRegularFile(join(fsDir, name))) continue
      return name
    }
    return undefined
  } finally {
    directory.closeSync()
  }
}

function isRegularFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function readBounded(path: string): Uint8Array {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = fstatSync(file)
    if (size > MAX_RECIPE_BYTES) {
      throw new SnapshotterError(
        'invalid-content',
        `recipe ${path}: ${size} bytes, the limit is ${MAX_RECIPE_BYTES}`,
      )
    }
    const bytes = Buffer.alloc(size)
    return bytes.subarray(0, readSync(file, bytes, 0, size, 0))
  } finally {
    closeSync(file)
  }
}
