/**
 * What a flight brings in: which frames, in which order, and what of them goes into which file's
 * pages. An image that was published with its start says so beside its recipe.
 */
import { join } from 'node:path'
import type { PageRun } from '../../../fusefs/index.js'
import {
  type Index,
  type PackTable,
  type StartupPlan,
  startupPlanFromBytes,
  type StartupRef,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { readLayerFile } from '../../images/layer-file.js'
import { StartupPlaces } from './startup-places.js'

/** A run of frames of one pack, of which `pack` is the position in the plan. */
export interface PlannedFrames {
  readonly pack: number
  readonly first: number
  readonly count: number
}

/** What frames hold, as the tree's index has it. */
export interface FlightPlaces {
  /** In the order of the frame's bytes; nothing where the index does not confirm it. */
  partsOf(packAt: number, frameAt: number): readonly PageRun[]
}

/** Where a profile comes from that the image was not published with, or only guessed. */
export type ProfileOrigin = 'guess' | 'learned' | 'shared'

export interface FlightPlan {
  /** For logs: who knew of this start. */
  readonly origin: 'image' | ProfileOrigin
  readonly packs: readonly PackTable[]
  /** One after the other; what is in one step is asked for at the same time. */
  readonly steps: readonly (readonly PlannedFrames[])[]
  /** Files, in the order in which the start opens them. */
  readonly runs: readonly { readonly ino: number }[]
  /** One path for each file of `runs`, raw bytes, without leading slash. */
  readonly paths: ReadonlyMap<number, Uint8Array>
  /** Uncompressed bytes of all frames. */
  readonly rawBytes: number
  /** The index stays the caller's, open as long as the places are used. */
  placesIn(index: Index): FlightPlaces
}

/**
 * The plan that the recipe of the layer in `folder` refers to. Throws `invalid-content` where it is
 * not the recipe's, and what `startupPlanFromBytes` throws.
 */
export function planOfImage(ref: StartupRef, folder: string): FlightPlan {
  const plan = readPlan(ref, folder)
  const { packs, runs, paths } = plan
  return {
    origin: 'image',
    ...{ packs, runs, paths },
    // The order of the packs is that of the start: each is waited for before the next is asked for.
    steps: packs.map(({ frames }, pack) => [{ pack, first: 0, count: frames.length }]),
    rawBytes: packs.reduce((sum, pack) => sum + pack.rawSizeBytes, 0),
    placesIn: (index) => new StartupPlaces(plan, index),
  }
}

function readPlan(ref: StartupRef, folder: string): StartupPlan {
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
