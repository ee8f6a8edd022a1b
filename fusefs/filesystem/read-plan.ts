/** Plans a READ: which runs of packs make up the answer. All bytes outside the runs are zeros. */
import type { Extent } from '../../index-format/index.js'
import { firstExtentEndingAfter } from '../../index-format/reading.js'
import type { OpenTree } from '../trees/tree-source.js'

/** A run of bytes of the answer that comes from one pack. */
export interface ReadRun {
  /** Where the run begins in the answer, in bytes. */
  readonly targetOffset: number
  readonly length: number
  /** The pack's key in the tree's index. */
  readonly pack: number
  /** Where the run begins in the pack's uncompressed address space, in bytes. */
  readonly rawOffset: number
}

export interface ReadPlan {
  readonly tree: OpenTree
  /** Size of the answer: the size that was asked for, or less at the end of the file. */
  readonly lengthBytes: number
  /** In order of `targetOffset`, without overlap. Bytes between them are holes. */
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

/** Writes zeros into the bytes of `target` that no run of the plan covers. */
export function zeroHoles(plan: ReadPlan, target: Uint8Array): void {
  let at = 0
  for (const run of plan.runs) {
    if (run.targetOffset > at) target.fill(0, at, run.targetOffset)
    at = run.targetOffset + run.length
  }
  if (at < plan.lengthBytes) target.fill(0, at, plan.lengthBytes)
}
