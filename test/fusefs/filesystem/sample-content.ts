/**
 * Content of sample trees, for faults that no real store gives on demand. Packs are in memory,
 * mirrors are sparse files. Reads can be made to wait or fail, and are counted.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ContentReader,
  FRAME_PRESENT,
  FusefsError,
  type MirrorShared,
  type TreeRecord,
} from '../../../fusefs/index.js'
import type { Digest, PackTable } from '../../../index-format/index.js'
import type { SamplePack } from './sample-tree.js'

interface Mirror {
  readonly shared: MirrorShared
  readonly pack: SamplePack
}

export class SampleContent implements ContentReader {
  /** Number of reads that arrived here because no dispatcher thread had the bytes. */
  reads = 0
  /** Index digests of the trees whose content was read. */
  readonly askedFor = new Set<Digest>()
  /** Called before a read is answered. It may wait or throw. */
  beforeRead: (signal: AbortSignal) => Promise<void> = () => Promise.resolve()
  readonly #mirrors = new Map<Digest, Mirror>()
  readonly #dir = mkdtempSync(join(tmpdir(), 'thin-sample-content-'))

  constructor(packs: readonly SamplePack[]) {
    for (const pack of packs) {
      const { table } = pack
      const fd = openSync(join(this.#dir, table.digest.slice(7)), 'w+')
      const rawOffsets = new SharedArrayBuffer((table.frames.length + 1) * 8)
      const offsets = [...table.frames.map((frame) => frame.rawOffset), table.rawSizeBytes]
      new Float64Array(rawOffsets).set(offsets)
      const state = new SharedArrayBuffer(table.frames.length + 2)
      new Uint8Array(state)[table.frames.length] = 1
      const shared = { id: table.digest, digest: table.digest, fd, rawOffsets, state }
      this.#mirrors.set(table.digest, { shared, pack })
    }
  }

  shared(pack: PackTable): MirrorShared | undefined {
    return this.#mirrors.get(pack.digest)?.shared
  }

  async read(
    tree: TreeRecord,
    pack: PackTable,
    rawOffset: number,
    target: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    this.reads++
    this.askedFor.add(tree.indexDigest)
    await this.beforeRead(signal)
    const mirror = this.#mirrors.get(pack.digest)
    if (mirror === undefined) throw new FusefsError('blob-not-found', `no pack ${pack.digest}`)
    const { raw, table } = mirror.pack
    const state = new Uint8Array(mirror.shared.state)
    table.frames.forEach((frame, at) => {
      const end = frame.rawOffset + frame.rawSizeBytes
      if (end <= rawOffset || frame.rawOffset >= rawOffset + target.length) return
      writeSync(mirror.shared.fd, raw, frame.rawOffset, frame.rawSizeBytes, frame.rawOffset)
      Atomics.store(state, at, FRAME_PRESENT)
    })
    target.set(raw.subarray(rawOffset, rawOffset + target.length))
  }

  close(): void {
    for (const { shared } of this.#mirrors.values()) closeSync(shared.fd)
    rmSync(this.#dir, { recursive: true })
  }
}
