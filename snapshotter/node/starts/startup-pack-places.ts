/**
 * The file bytes that each frame of a startup pack holds, as the startup plan says and the tree's
 * index confirms. Bytes that the index does not confirm are left out.
 */
import type { PageRun } from '../../../fusefs/index.js'
import {
  type Extent,
  firstExtentEndingAfter,
  type Index,
  type PackTable,
  type StartupPlan,
} from '../../../index-format/index.js'
import type { FramePlaces } from './start.js'

export class StartupPackPlaces implements FramePlaces {
  readonly #plan: StartupPlan
  readonly #index: Index
  /**
   * For each pack of the plan, its key in the index. Undefined where the index does not confirm it.
   */
  readonly #keys: readonly (number | undefined)[]
  /** For each frame of each pack: the run in which it begins, and the run's bytes before it. */
  readonly #starts: readonly (readonly { run: number; skip: number }[])[]
  readonly #extents = new Map<number, readonly Extent[]>()

  /** The caller closes the index, after the last call. */
  constructor(plan: StartupPlan, index: Index) {
    this.#plan = plan
    this.#index = index
    this.#keys = plan.packs.map((pack) => confirmedKey(pack, index))
    this.#starts = startsOf(plan)
  }

  /** The file bytes of a frame, in the order of the frame's bytes. */
  partsOf(packAt: number, frameAt: number): PageRun[] {
    const frame = this.#plan.packs[packAt]?.frames[frameAt]
    const start = this.#starts[packAt]?.[frameAt]
    const key = this.#keys[packAt]
    if (frame === undefined || start === undefined || key === undefined) return []
    const parts: PageRun[] = []
    let { skip } = start
    let from = 0
    for (let at = start.run; from < frame.rawSizeBytes; at++) {
      const run = this.#plan.runs[at]
      if (run === undefined) break
      const length = Math.min(run.length - skip, frame.rawSizeBytes - from)
      const part = { ino: run.ino, offset: run.offset + skip, from, length }
      if (this.#isConfirmed(part, key, frame.rawOffset + from)) parts.push(part)
      from += length
      skip = 0
    }
    return parts
  }

  #isConfirmed({ ino, offset, length }: PageRun, pack: number, rawOffset: number): boolean {
    const extents = this.#extents.get(ino) ?? this.#index.extents(ino)
    this.#extents.set(ino, extents)
    const extent = extents[firstExtentEndingAfter(extents, offset)]
    return (
      extent?.pack === pack &&
      extent.offset <= offset &&
      extent.offset + extent.length >= offset + length &&
      extent.rawOffset + (offset - extent.offset) === rawOffset
    )
  }
}

function confirmedKey(pack: PackTable, index: Index): number | undefined {
  const key = index.packKeyOf(pack.digest)
  if (key === undefined) return undefined
  const { frames } = index.packTable(key)
  const same = frames.every((frame, at) => {
    const other = pack.frames[at]
    return other?.digest === frame.digest && other.rawSizeBytes === frame.rawSizeBytes
  })
  return same && frames.length === pack.frames.length ? key : undefined
}

function startsOf(plan: StartupPlan): { run: number; skip: number }[][] {
  let run = 0
  let skip = 0
  return plan.packs.map((pack) =>
    pack.frames.map((frame) => {
      const start = { run, skip }
      let left = frame.rawSizeBytes
      while (left > 0) {
        const rest = (plan.runs[run]?.length ?? Number.POSITIVE_INFINITY) - skip
        if (rest > left) {
          skip += left
          break
        }
        left -= rest
        run++
        skip = 0
      }
      return start
    }),
  )
}
