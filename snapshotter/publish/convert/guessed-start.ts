/**
 * Guesses what a start of an image reads. The guess is a profile that travels in the thin layer.
 * Nodes prefetch its content from the ordinary packs, so that no content is compressed or stored a
 * second time.
 */
import { bytesFromProfile, readFileRun } from '../../../index-format/index.js'
import { guessStart } from '../guess/guess-start.js'
import { JsonObject } from '../../images/registry/index.js'
import type { GuessedStart, MergedIndex } from './merged-index.js'
import { type StartupModules, withStoredFrames, withStoredIndex } from './stored-frames.js'

/**
 * Guesses with `guessStart`. `config` is the image's configuration. Undefined if nothing can be
 * guessed.
 */
export async function guessedStart(
  merged: MergedIndex,
  config: Uint8Array,
  modules: StartupModules,
): Promise<GuessedStart | undefined> {
  return withStoredIndex(merged.index, modules, async (tree) => {
    const profile = await withStoredFrames(modules, (read) =>
      guessStart({
        index: merged.index.digest,
        tree,
        ...processOf(config),
        readFile: (ino, offset, length) => readFileRun(tree, { ino, offset, length }, read),
      }),
    )
    if (profile.ranges.length === 0) return undefined
    const rawBytes = profile.ranges.reduce((sum, { length }) => sum + length, 0)
    return { bytes: bytesFromProfile(profile), rawBytes }
  })
}

function processOf(config: Uint8Array): {
  argv: string[]
  env: string[]
  workingDirectory: string
} {
  const json = JsonObject.parse(config, 'configuration').raw['config']
  const process: Readonly<Record<string, unknown>> =
    typeof json === 'object' && json !== null ? { ...json } : {}
  const texts = (key: string): string[] => {
    const value = process[key]
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
  }
  const folder = process['WorkingDir']
  return {
    argv: [...texts('Entrypoint'), ...texts('Cmd')],
    env: texts('Env'),
    workingDirectory: typeof folder === 'string' ? folder : '/',
  }
}
