/** The profiles that a thin image was published with, out of the files in its layer. */
import { readFile } from 'node:fs/promises'
import {
  digestOf,
  type LayerFileRef,
  type Profile,
  profileFromBytes,
  profilesOfPlan,
  startupPlanFromBytes,
  type ThinSection,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/**
 * Those that were recorded. `files`: paths of the thin layer's files. Throws `invalid-content` where
 * the plan is not the recipe's.
 */
export async function publishedProfiles(
  thin: ThinSection,
  files: ReadonlyMap<string, string>,
): Promise<Profile[]> {
  const { merged, startup } = thin
  if (startup === undefined || merged === undefined) return []
  const bytes = await readLayerFile(startup.plan, files)
  return profilesOfPlan(startupPlanFromBytes(bytes), merged.digest)
}

/** The one that was guessed. Throws `invalid-content` where it is not the recipe's. */
export async function publishedGuess(
  { guess }: ThinSection,
  files: ReadonlyMap<string, string>,
): Promise<Profile | undefined> {
  return guess && profileFromBytes(await readLayerFile(guess, files))
}

async function readLayerFile(
  { digest, file }: LayerFileRef,
  files: ReadonlyMap<string, string>,
): Promise<Uint8Array> {
  const path = files.get(file)
  const bytes = path === undefined ? undefined : await readFile(path)
  if (bytes !== undefined && digestOf(bytes) === digest) return bytes
  const message = `${file} of the thin layer: is not what the recipe names, ${digest}`
  throw new SnapshotterError('invalid-content', message)
}
