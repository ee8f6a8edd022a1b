/** The thread behind `ThreadCompressor`: compresses frames in memory that both threads see. */
import { parentPort, workerData } from 'node:worker_threads'
import { FrameEncoder } from './frame-codec.js'

/** Memory for one frame on its way: raw bytes in, compressed bytes out. */
export interface CompressorSlot {
  readonly raw: Uint8Array
  readonly compressed: Uint8Array
}

export interface CompressRequest {
  /** Position in the thread's slots. */
  readonly slot: number
  readonly rawSizeBytes: number
  readonly level: number
}

export type CompressReply =
  | { readonly slot: number; readonly sizeBytes: number }
  | { readonly slot: number; readonly failure: string }

const encoder = new FrameEncoder()
const slots = workerData as readonly CompressorSlot[]

parentPort?.on('message', ({ slot, rawSizeBytes, level }: CompressRequest) => {
  parentPort?.postMessage(reply(slot, rawSizeBytes, level))
})

function reply(slot: number, rawSizeBytes: number, level: number): CompressReply {
  try {
    const memory = slots[slot]
    if (memory === undefined) throw new RangeError(`there is no slot ${slot}`)
    const raw = memory.raw.subarray(0, rawSizeBytes)
    return { slot, sizeBytes: encoder.encodeInto(memory.compressed, raw, level) }
  } catch (cause) {
    return { slot, failure: String(cause) }
  }
}
