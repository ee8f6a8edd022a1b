/** Reads the profiles that a thin image was published with from the files in its layer. */
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
 * The recorded profiles; empty if there are none. `files` maps the names of the thin layer's files
 * to their paths on the local disk. Throws `invalid-content` if the plan is missing or is not the
 * plan that the recipe names.
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

/**
 * The guessed profile; `undefined` if there is none. Throws `invalid-content` if it is missing or
 * is not the profile that the recipe names.
 */
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
