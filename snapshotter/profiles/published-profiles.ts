/** The profiles that a thin image was published with, out of the startup plan in its layer. */
import { readFile } from 'node:fs/promises'
import {
  digestOf,
  type Profile,
  profilesOfPlan,
  startupPlanFromBytes,
  type ThinSection,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/** `files`: paths of the thin layer's files. Throws `invalid-content` where the plan is not the recipe's. */
export async function publishedProfiles(
  thin: ThinSection,
  files: ReadonlyMap<string, string>,
): Promise<Profile[]> {
  const { merged, startup } = thin
  if (startup === undefined || merged === undefined) return []
  const { digest, file } = startup.plan
  const path = files.get(file)
  const bytes = path === undefined ? undefined : await readFile(path)
  if (bytes === undefined || digestOf(bytes) !== digest) {
    const message = `startup plan ${file}: is not what the recipe names, ${digest}`
    throw new SnapshotterError('invalid-content', message)
  }
  return profilesOfPlan(startupPlanFromBytes(bytes), merged.digest)
}
