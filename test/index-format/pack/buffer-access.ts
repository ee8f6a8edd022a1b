/** Bytes in memory as RandomAccess, and packs collected in memory. */
import {
  IndexFormatError,
  type PackSink,
  type PackTable,
  type RandomAccess,
} from '../../../index-format/index.js'

export function accessOf(bytes: Uint8Array): RandomAccess {
  return {
    sizeBytes: bytes.length,
    readSync(target, offset) {
      if (offset < 0 || offset + target.length > bytes.length) {
        throw new IndexFormatError('truncated', `read ${target.length} at ${offset}`)
      }
      target.set(bytes.subarray(offset, offset + target.length))
    },
  }
}

/** Keeps every finished pack's bytes by digest. */
export class MemoryStore {
  readonly packs = new Map<string, Buffer>()
  readonly tables: PackTable[] = []
  aborted = 0

  openPack(): PackSink {
    const chunks: Uint8Array[] = []
    return {
      write: (bytes) => {
        chunks.push(bytes)
        return Promise.resolve()
      },
      finish: (table) => {
        this.packs.set(table.digest, Buffer.concat(chunks))
        this.tables.push(table)
        return Promise.resolve()
      },
      abort: () => {
        this.aborted++
        return Promise.resolve()
      },
    }
  }
}
