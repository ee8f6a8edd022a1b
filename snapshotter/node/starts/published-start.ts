/**
 * The start that an image was published with: its plan lies beside the recipe in the thin layer.
 */
import { join } from 'node:path'
import {
  type StartupPlan,
  startupPlanFromBytes,
  type StartupRef,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { readLayerFile } from '../../images/layer-file.js'
import type { PrefetchPlan, Start } from './start.js'
import { StartupPackPlaces } from './startup-pack-places.js'

/**
 * The start that the recipe's section `ref` names. `folder` holds the files of the thin layer. Only
 * `readPlan` reads them. It throws `invalid-content` if the plan is not the one that the recipe
 * names, the filesystem's errors if it cannot be read, and the errors of `startupPlanFromBytes`.
 */
export function publishedStart(ref: StartupRef, folder: string): Start {
  return { origin: 'image', readPlan: () => prefetchPlanOf(readStartupPlan(ref, folder)) }
}

function prefetchPlanOf(plan: StartupPlan): PrefetchPlan {
  const { packs, runs, paths } = plan
  return {
    ...{ packs, runs, paths },
    // The packs are in the order of the start. Each is complete before the next one is requested.
    steps: packs.map(({ frames }, pack) => [{ pack, first: 0, count: frames.length }]),
    rawBytes: packs.reduce((sum, pack) => sum + pack.rawSizeBytes, 0),
    placesIn: (index) => new StartupPackPlaces(plan, index),
  }
}

function readStartupPlan(ref: StartupRef, folder: string): StartupPlan {
  const path = join(folder, ref.plan.file)
  const bytes = readLayerFile(ref.plan, path)
  const plan = startupPlanFromBytes(bytes)
  const named = ref.packs.map((pack) => pack.digest).join(' ')
  if (plan.packs.map((pack) => pack.digest).join(' ') !== named) {
    const message = `startup plan ${path}: names other packs than the recipe`
    throw new SnapshotterError('invalid-content', message)
  }
  return plan
}
