/**
 * Passes the stored bytes of one file after the other to the sink. It hashes them on the way, so
 * that equal files are found without reading the spool again.
 */
import { createHash, hash } from 'node:crypto'
import type { TarMember } from '../tar/tar-member.js'
import type { Extent } from '../tree/tree.js'
import type { ContentSink } from './content-sink.js'

export interface SpooledFile {
  /** SHA-256 of the stored bytes; `null` when there are none. */
  readonly digest: Uint8Array | null
  readonly storedBytes: number
  /** Their pack 0 is the spool. */
  readonly extents: readonly Extent[]
}

const EMPTY: SpooledFile = { digest: null, storedBytes: 0, extents: [] }

export class Spooler {
  readonly #sink: ContentSink
  #offset = 0

  constructor(sink: ContentSink) {
    this.#sink = sink
  }

  /** Bytes passed to the sink so far, including those of files that were replaced later. */
  get spooledBytes(): number {
    return this.#offset
  }

  async spool(member: TarMember, signal: AbortSignal | undefined): Promise<SpooledFile> {
    const { storedBytes } = member
    if (storedBytes === 0) return EMPTY
    const start = this.#offset
    const digest = await this.#pass(member, signal)
    let rawOffset = start
    const runs = member.sparse ?? [{ offset: 0, length: storedBytes }]
    const extents = runs.map(({ offset, length }) => {
      const extent: Extent = { offset, length, pack: 0, rawOffset }
      rawOffset += length
      return extent
    })
    return { digest, storedBytes, extents }
  }

  async #pass(member: TarMember, signal: AbortSignal | undefined): Promise<Uint8Array> {
    let hasher: ReturnType<typeof createHash> | undefined
    for await (const chunk of member.body) {
      signal?.throwIfAborted()
      const appended = this.#sink.append(chunk)
      this.#offset += chunk.length
      // Most files come in one chunk and need no hasher object.
      if (chunk.length === member.storedBytes) {
        if (appended !== undefined) await appended
        return hash('sha256', chunk, 'buffer')
      }
      hasher ??= createHash('sha256')
      hasher.update(chunk)
      if (appended !== undefined) await appended
    }
    return (hasher ?? createHash('sha256')).digest()
  }
}
