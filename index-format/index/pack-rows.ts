/** Parses packs and frames from rows. Every sum is checked: readers allocate memory by it. */
import type { Digest } from '../digest.js'
import {
  MAX_FRAME_BYTES,
  MAX_FRAME_RAW_BYTES,
  MAX_FRAMES_PER_PACK,
  MAX_PACK_BYTES,
  MAX_PACK_RAW_BYTES,
  MAX_PACKS,
} from '../limits.js'
import type { Frame, PackTable } from '../pack/pack-table.js'
import { digestFromRow, integerFromRow, invalidRow, shown } from './row.js'

/** A pack as an index names it. */
export interface PackRef {
  /** The number by which extents refer to the pack, in this index only. */
  readonly key: number
  readonly digest: Digest
  /** Bytes of the pack file, including the table at its end. */
  readonly sizeBytes: number
  readonly rawSizeBytes: number
}

/** Parses [key, digest, size, raw_size]. */
export function packRefFromRow(row: readonly unknown[]): PackRef {
  const key = integerFromRow(row[0], 1, MAX_PACKS, 'pack', shown(row[0]), 'key')
  return {
    key,
    digest: digestFromRow(row[1], 'pack', key),
    sizeBytes: integerFromRow(row[2], 1, MAX_PACK_BYTES, 'pack', key, 'size'),
    rawSizeBytes: integerFromRow(row[3], 1, MAX_PACK_RAW_BYTES, 'pack', key, 'raw_size'),
  }
}

/**
 * Parses [raw_offset, raw_size, offset, size, digest] of all frames of a pack. Throws
 * `invalid-index` unless they fill the pack without gap.
 */
export function packTableFromRows(pack: PackRef, rows: readonly (readonly unknown[])[]): PackTable {
  const { key } = pack
  if (rows.length > MAX_FRAMES_PER_PACK) {
    throw invalidRow('frame', key, `more than ${MAX_FRAMES_PER_PACK} frames`)
  }
  let rawEnd = 0
  let end = 0
  const frames = rows.map((row): Frame => {
    const frame = {
      rawOffset: integerFromRow(row[0], rawEnd, rawEnd, 'frame', key, 'raw_offset'),
      rawSizeBytes: integerFromRow(row[1], 1, MAX_FRAME_RAW_BYTES, 'frame', key, 'raw_size'),
      offset: integerFromRow(row[2], end, end, 'frame', key, 'offset'),
      sizeBytes: integerFromRow(row[3], 1, MAX_FRAME_BYTES, 'frame', key, 'size'),
      digest: digestFromRow(row[4], 'frame', key),
    }
    rawEnd += frame.rawSizeBytes
    end += frame.sizeBytes
    return frame
  })
  if (rawEnd !== pack.rawSizeBytes) {
    throw invalidRow('pack', key, `its frames have ${rawEnd} raw bytes, not ${pack.rawSizeBytes}`)
  }
  if (end >= pack.sizeBytes) {
    throw invalidRow('pack', key, `its frames have ${end} bytes, the file ${pack.sizeBytes}`)
  }
  return { digest: pack.digest, sizeBytes: pack.sizeBytes, rawSizeBytes: rawEnd, frames }
}
