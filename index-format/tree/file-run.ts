/** Reads a run of one file's bytes. The caller passes the function that reads from packs. */
import type { PackTable } from '../pack/pack-table.js'
import { extentsWithin } from './extent-search.js'
import type { Extent } from './tree.js'

/** Fills `target` with the pack's uncompressed bytes from `rawOffset` on. */
export type ReadPack = (pack: PackTable, rawOffset: number, target: Uint8Array) => Promise<void>

/** The part of an index that says where the bytes of files are. */
export interface TreeFiles {
  extents(ino: number): readonly Extent[]
  packTable(pack: number): PackTable
}

/**
 * The `length` bytes of file `ino` from `offset` on. Holes, and bytes behind the last extent, are
 * zeros. Errors of `files` and `read` pass unchanged.
 */
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
