/**
 * What a flight brings in: which frames, in which order, and what of them goes into which file's
 * pages. An image that was published with its start says so beside its recipe.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import {
  type Index,
  type PackTable,
  type StartupPlan,
  startupPlanFromBytes,
  type StartupRef,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { type FramePart, StartupPlaces } from './startup-places.js'

/** A run of frames of one pack, of which `pack` is the position in the plan. */
export interface PlannedFrames {
  readonly pack: number
  readonly first: number
  readonly count: number
}

/** What frames hold, as the tree's index has it. */
export interface FlightPlaces {
  /** In the order of the frame's bytes; nothing where the index does not confirm it. */
  partsOf(packAt: number, frameAt: number): readonly FramePart[]
}

export interface FlightPlan {
  /** For logs: who knew of this start. */
  readonly origin: 'image' | 'learned' | 'shared'
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
 * The plan in the file `planPath`, which the recipe refers to. Throws `invalid-content` where it is
 * not the recipe's, and what `startupPlanFromBytes` throws.
 */
export async function planOfImage(ref: StartupRef, planPath: string): Promise<FlightPlan> {
  const plan = await readPlan(ref, planPath)
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

async function readPlan(ref: StartupRef, planPath: string): Promise<StartupPlan> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(planPath, flags)
  let bytes: Buffer
  try {
    const buffer = Buffer.alloc(ref.plan.sizeBytes)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
    bytes = buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (digest !== ref.plan.digest) {
    const message = `startup plan ${planPath}: is ${digest}, the recipe says ${ref.plan.digest}`
    throw new SnapshotterError('invalid-content', message)
  }
  const plan = startupPlanFromBytes(bytes)
  const named = ref.packs.map((pack) => pack.digest).join(' ')
  if (plan.packs.map((pack) => pack.digest).join(' ') !== named) {
    const message = `startup plan ${planPath}: names other packs than the recipe`
    throw new SnapshotterError('invalid-content', message)
  }
  return plan
}
