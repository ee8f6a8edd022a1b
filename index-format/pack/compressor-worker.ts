/** The thread behind `ThreadCompressor`: frames in, compressed frames out, in order. */
import { parentPort } from 'node:worker_threads'
import { FrameEncoder } from './frame-codec.js'

export interface CompressRequest {
  readonly id: number
  readonly raw: ArrayBuffer
  readonly level: number
}

export type CompressReply =
  | { readonly id: number; readonly compressed: ArrayBuffer }
  | { readonly id: number; readonly failure: string }

const encoder = new FrameEncoder()

parentPort?.on('message', ({ id, raw, level }: CompressRequest) => {
  try {
    const { buffer } = encoder.encode(new Uint8Array(raw), level)
    if (!(buffer instanceof ArrayBuffer)) throw new TypeError('shared memory')
    const reply: CompressReply = { id, compressed: buffer }
    parentPort?.postMessage(reply, [buffer])
  } catch (cause) {
    const reply: CompressReply = { id, failure: String(cause) }
    parentPort?.postMessage(reply)
  }
})
