/**
 * Reads the packs of a published tree from a store for comparison: in order, each frame at most
 * once and verified, neighbouring frames in one request.
 */
import { createHash } from 'node:crypto'
import { type BlobSource, FusefsError } from '../../../fusefs/index.js'
import {
  bytesFromDigest,
  decodeFrame,
  type Frame,
  type Index,
  IndexFormatError,
  type PackTable,
} from '../../../index-format/index.js'
import type { FailedPiece, RawRange, ReadPiece, StreamedTree } from './readable-tree.js'

/** Compressed bytes between two wanted frames that are fetched and dropped to save a request. */
const MAX_GAP_BYTES = 64 * 1024
/** Compressed bytes of one request. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024

export class StoredTree implements StreamedTree {
  readonly tree: Index
  readonly #source: BlobSource

  /** The caller closes both modules. */
  constructor(modules: { index: Index; source: BlobSource }) {
    this.tree = modules.index
    this.#source = modules.source
  }

  packIdentity(pack: number): string {
    const table = this.#table(pack)
    if (table instanceof IndexFormatError) return `${pack} of ${this.tree.path}`
    const hash = createHash('sha256').update(bytesFromDigest(table.digest))
    for (const { sizeBytes, rawSizeBytes, digest } of table.frames) {
      hash.update(bytesFromDigest(digest)).update(`${sizeBytes} ${rawSizeBytes} `)
    }
    return hash.digest('hex')
  }

  async *streamPack(
    pack: number,
    wanted: readonly RawRange[],
    signal: AbortSignal,
  ): AsyncGenerator<ReadPiece | FailedPiece> {
    const table = this.#table(pack)
    if (table instanceof IndexFormatError) {
      for (const range of wanted) yield { ...range, failure: table.message }
      return
    }
    for (const frames of requestsFor(table, wanted)) yield* this.#request(table, frames, signal)
    for (const { rawOffset, length } of wanted) {
      const from = Math.max(rawOffset, table.rawSizeBytes)
      const beyond = rawOffset + length - from
      const failure = `pack ${table.digest} has ${table.rawSizeBytes} bytes, none at ${from}`
      if (beyond > 0) yield { rawOffset: from, length: beyond, failure }
    }
  }

  async *#request(
    table: PackTable,
    frames: readonly NumberedFrame[],
    signal: AbortSignal,
  ): AsyncGenerator<ReadPiece | FailedPiece> {
    const [first, last] = [frames[0], frames.at(-1)]
    if (first === undefined || last === undefined) return
    const length = last.frame.offset + last.frame.sizeBytes - first.frame.offset
    const range = { digest: table.digest, offset: first.frame.offset, length }
    let done = 0
    try {
      for await (const compressed of cutFrames(this.#source.stream(range, signal), frames)) {
        const numbered = frames[done++]
        if (numbered !== undefined) yield decoded(table, numbered, compressed)
      }
      return
    } catch (error) {
      if (!isDamage(error)) throw error
      const failure = `pack ${table.digest} from ${this.#source.name}: ${error.message}`
      for (const numbered of frames.slice(done)) {
        yield failedPiece(numbered, `frame ${numbered.number} of ${failure}`)
      }
    }
  }

  #table(pack: number): PackTable | IndexFormatError {
    try {
      return this.tree.packTable(pack)
    } catch (error) {
      if (error instanceof IndexFormatError) return error
      throw error
    }
  }
}

interface NumberedFrame {
  readonly number: number
  readonly frame: Frame
}

/** The frames that hold some of `wanted`, one list for each request. */
function* requestsFor(table: PackTable, wanted: readonly RawRange[]): Generator<NumberedFrame[]> {
  let run: NumberedFrame[] = []
  let next = 0
  for (const [number, frame] of table.frames.entries()) {
    let range = wanted[next]
    while (range !== undefined && range.rawOffset + range.length <= frame.rawOffset) {
      range = wanted[++next]
    }
    if (range === undefined) break
    if (range.rawOffset >= frame.rawOffset + frame.rawSizeBytes) continue
    const [first, last] = [run[0]?.frame, run.at(-1)?.frame]
    const end = frame.offset + frame.sizeBytes
    const isFar =
      last !== undefined && frame.offset - (last.offset + last.sizeBytes) > MAX_GAP_BYTES
    if (isFar || (first !== undefined && end - first.offset > MAX_REQUEST_BYTES)) {
      yield run
      run = []
    }
    run.push({ number, frame })
  }
  if (run.length > 0) yield run
}

/**
 * Cuts bytes that begin at the first frame into the compressed frames, and drops the bytes between
 * them. Throws `truncated-answer` if the bytes end too early.
 */
async function* cutFrames(
  bytes: AsyncIterable<Uint8Array>,
  frames: readonly NumberedFrame[],
): AsyncGenerator<Uint8Array> {
  const start = frames[0]?.frame.offset ?? 0
  let next = 0
  let position = start
  let parts: Uint8Array[] = []
  for await (const chunk of bytes) {
    const chunkEnd = position + chunk.length
    for (let frame = frames[next]?.frame; frame !== undefined; frame = frames[++next]?.frame) {
      const from = Math.max(frame.offset - position, 0)
      if (from >= chunk.length) break
      const end = frame.offset + frame.sizeBytes
      parts.push(chunk.subarray(from, end - position))
      if (end > chunkEnd) {
        // A source may use its buffer again for the next chunk.
        parts = [Buffer.concat(parts)]
        break
      }
      yield Buffer.concat(parts)
      parts = []
    }
    position = chunkEnd
  }
  if (next < frames.length) {
    throw new FusefsError('truncated-answer', `it ends after ${position - start} bytes`)
  }
}

function decoded(
  table: PackTable,
  numbered: NumberedFrame,
  compressed: Uint8Array,
): ReadPiece | FailedPiece {
  const { frame, number } = numbered
  try {
    const bytes = decodeFrame(frame, compressed)
    return { rawOffset: frame.rawOffset, length: frame.rawSizeBytes, bytes }
  } catch (error) {
    if (!(error instanceof IndexFormatError)) throw error
    return failedPiece(numbered, `frame ${number} of pack ${table.digest}: ${error.message}`)
  }
}

function failedPiece({ frame }: NumberedFrame, failure: string): FailedPiece {
  return { rawOffset: frame.rawOffset, length: frame.rawSizeBytes, failure }
}

/**
 * Whether an error shows that the store's content is wrong. A store that does not answer may still
 * have the right content.
 */
function isDamage(error: unknown): error is FusefsError {
  if (!(error instanceof FusefsError)) return false
  return error.code === 'blob-not-found' || error.code === 'truncated-answer'
}
