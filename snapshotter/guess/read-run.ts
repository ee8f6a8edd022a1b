/** Bytes of one file of a tree, by position, from whoever reads packs. */
import type { Extent, PackTable } from '../../index-format/index.js'

/** Fills `target` from `rawOffset` of a pack on. */
export type ReadPack = (pack: PackTable, rawOffset: number, target: Uint8Array) => Promise<void>

export interface TreeFiles {
  extents(ino: number): readonly Extent[]
  packTable(pack: number): PackTable
}

/** Holes are zeros. Throws what `read` throws. */
export async function readRun(
  files: TreeFiles,
  run: { ino: number; offset: number; length: number },
  read: ReadPack,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(run.length)
  const end = run.offset + run.length
  for (const extent of files.extents(run.ino)) {
    const from = Math.max(run.offset, extent.offset)
    const to = Math.min(end, extent.offset + extent.length)
    if (from >= to) continue
    const target = bytes.subarray(from - run.offset, to - run.offset)
    await read(files.packTable(extent.pack), extent.rawOffset + from - extent.offset, target)
  }
  return bytes
}
