/** The profiles that a thin image was published with, out of the files in its layer. */
import {
  type LayerFileRef,
  type Profile,
  profileFromBytes,
  profilesOfPlan,
  startupPlanFromBytes,
  type ThinSection,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { readLayerFile } from '../images/layer-file.js'

/**
 * Those that were recorded. `files`: paths of the thin layer's files. Throws `invalid-content` where
 * the plan is not the recipe's.
 */
export function publishedProfiles(
  thin: ThinSection,
  files: ReadonlyMap<string, string>,
): Profile[] {
  const { merged, startup } = thin
  if (startup === undefined || merged === undefined) return []
  const bytes = fileOf(startup.plan, files)
  return profilesOfPlan(startupPlanFromBytes(bytes), merged.digest)
}

/** The one that was guessed. Throws `invalid-content` where it is not the recipe's. */
export function publishedGuess(
  { guess }: ThinSection,
  files: ReadonlyMap<string, string>,
): Profile | undefined {
  return guess && profileFromBytes(fileOf(guess, files))
}

function fileOf(ref: LayerFileRef, files: ReadonlyMap<string, string>): Uint8Array {
  const path = files.get(ref.file)
  if (path !== undefined) return readLayerFile(ref, path)
  const message = `the thin layer has no ${ref.file}, which its recipe names`
  throw new SnapshotterError('invalid-content', message)
}
