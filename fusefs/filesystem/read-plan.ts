/** How a READ is put together: runs out of packs, and zeros where no run is. */
import type { Extent } from '../../index-format/index.js'
import { firstExtentEndingAfter } from '../../index-format/reading.js'
import type { OpenTree } from '../trees/tree-source.js'

/** A run of the answer that comes out of one pack. */
export interface ReadRun {
  /** Where in the answer, bytes. */
  readonly targetOffset: number
  readonly length: number
  /** The pack's key in the tree's index. */
  readonly pack: number
  /** Where in the pack's uncompressed address space. */
  readonly rawOffset: number
}

export interface ReadPlan {
  readonly tree: OpenTree
  /** Bytes of the answer: as many as were asked for, fewer at the end of the file. */
  readonly lengthBytes: number
  /** In order, without overlap; what they leave out is a hole. */
  readonly runs: readonly ReadRun[]
}

/** The runs of `[offset, end)` of a file with these extents. */
export function runsOf(extents: readonly Extent[], offset: number, end: number): ReadRun[] {
  const runs: ReadRun[] = []
  for (let i = firstExtentEndingAfter(extents, offset); i < extents.length; i++) {
    const extent = extents[i]
    if (extent === undefined || extent.offset >= end) break
    const from = Math.max(extent.offset, offset)
    const to = Math.min(extent.offset + extent.length, end)
    runs.push({
      targetOffset: from - offset,
      length: to - from,
      pack: extent.pack,
      rawOffset: extent.rawOffset + (from - extent.offset),
    })
  }
  return runs
}

/** Writes zeros where no run of the plan is. */
export function zeroHoles(plan: ReadPlan, target: Uint8Array): void {
  let at = 0
  for (const run of plan.runs) {
    if (run.targetOffset > at) target.fill(0, at, run.targetOffset)
    at = run.targetOffset + run.length
  }
  if (at < plan.lengthBytes) target.fill(0, at, plan.lengthBytes)
}
