/** Finds the lower directories of an overlay for a chain of committed snapshots. */
import { SnapshotterError } from '../../errors.js'
import type { Lower } from './mounts.js'
import type { Snapshot } from './snapshot.js'
import type { SnapshotDirectories } from './snapshot-directories.js'
import type { ThinLayers } from './thin-layers.js'

/** The kernel's limit: `OVL_MAX_STACK` of fs/overlayfs. */
const MAX_LOWER_DIRECTORIES = 500

export interface LowerDirectoriesModules {
  readonly directories: SnapshotDirectories
  readonly thinLayers: Pick<ThinLayers, 'lowerdirs'>
}

/**
 * The lower directories of `chain`, which begins at the parent and goes on with its ancestors. Top
 * first. Throws `failed-precondition` if overlayfs does not take so many, and the errors of
 * `ThinLayers.lowerdirs`.
 */
export async function lowersOf(
  chain: readonly Snapshot[],
  { directories, thinLayers }: LowerDirectoriesModules,
  signal: AbortSignal,
): Promise<Lower[]> {
  const lowers: Lower[] = []
  for (const { id, thin } of chain) {
    if (thin === undefined) {
      lowers.push({ kind: 'ordinary', path: directories.fsOf(id) })
    } else {
      const paths = await thinLayers.lowerdirs(thin, signal)
      lowers.push(...paths.map((path): Lower => ({ kind: 'thin', path })))
    }
  }
  if (lowers.length <= MAX_LOWER_DIRECTORIES) return lowers
  const message = `${lowers.length} layers: overlayfs takes ${MAX_LOWER_DIRECTORIES}`
  throw new SnapshotterError('failed-precondition', message)
}
