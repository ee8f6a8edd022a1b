/** Bytes of one file of a tree, by position, from whoever reads packs. */
import type { PackTable } from '../pack/pack-table.js'
import { extentsWithin } from './extent-search.js'
import type { Extent } from './tree.js'

/** Fills `target` from `rawOffset` of a pack on. */
export type ReadPack = (pack: PackTable, rawOffset: number, target: Uint8Array) => Promise<void>

export interface TreeFiles {
  extents(ino: number): readonly Extent[]
  packTable(pack: number): PackTable
}

/** Holes are zeros. Throws what `read` throws. */
export async function readFileRun(
  files: TreeFiles,
  run: { ino: number; offset: number; length: number },
  read: ReadPack,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(run.length)
  for (const part of extentsWithin(files.extents(run.ino), run.offset, run.length)) {
    const at = part.offset - run.offset
    const target = bytes.subarray(at, at + part.length)
    await read(files.packTable(part.pack), part.rawOffset, target)
  }
  return bytes
}
