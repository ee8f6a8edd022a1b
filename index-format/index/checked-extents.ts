/** Checks one file's extents for a writer: in order, without overlap, inside the file and packs. */
import { IndexFormatError } from '../errors.js'
import { MAX_EXTENTS_PER_FILE } from '../limits.js'
import type { PackTable } from '../pack/pack-table.js'
import type { Extent, Inode } from '../tree/tree.js'

/**
 * Throws `invalid-index` unless the extents cover exactly the file's stored bytes, and
 * `limit-exceeded` for more than MAX_EXTENTS_PER_FILE. An extent's `pack` is a position in `packs`.
 */
export function checkedExtents(
  extents: readonly Extent[],
  inode: Inode,
  packs: readonly PackTable[],
): void {
  let end = 0
  let stored = 0
  for (const { offset, length, pack, rawOffset } of extents) {
    const rawSizeBytes = packs[pack]?.rawSizeBytes
    if (rawSizeBytes === undefined)
      throw refused(inode, `extent in pack ${pack}, which is not given`)
    if (!isCount(offset) || !isCount(length) || !isCount(rawOffset) || length === 0) {
      throw refused(inode, `extent of ${length} bytes at ${offset}, raw ${rawOffset}`)
    }
    if (offset < end) throw refused(inode, `extent at ${offset} begins before ${end}`)
    end = offset + length
    stored += length
    if (end > inode.sizeBytes) throw refused(inode, `extent ends at ${end}, after the file`)
    if (rawOffset + length > rawSizeBytes) {
      throw refused(inode, `extent ends at raw ${rawOffset + length}, after pack ${pack}`)
    }
  }
  if (stored !== inode.storedBytes) {
    throw refused(inode, `extents cover ${stored} bytes, ${inode.storedBytes} are stored`)
  }
  if (extents.length > MAX_EXTENTS_PER_FILE) {
    const message = `write index: inode ${inode.ino}: ${extents.length} extents, at most ${MAX_EXTENTS_PER_FILE}`
    throw new IndexFormatError('limit-exceeded', message)
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function refused(inode: Inode, complaint: string): IndexFormatError {
  return new IndexFormatError('invalid-index', `write index: inode ${inode.ino}: ${complaint}`)
}
