/** Entry point of a decoder thread. It decompresses and verifies one frame at a time. */
import { parentPort } from 'node:worker_threads'
import { decodeFrame, type Frame, IndexFormatError } from '../../../index-format/decoding.js'

export interface DecodeRequest {
  readonly frame: Frame
  /** Moved to the thread, not copied. */
  readonly compressed: Uint8Array
}

/** `ready` comes once, at first. The other replies come in the order of the requests. */
export type DecodeReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'raw'; readonly raw: Uint8Array }
  | {
      readonly kind: 'refused'
      /** Undefined when the failure is not the frame's fault. */
      readonly code: IndexFormatError['code'] | undefined
      readonly message: string
    }

const port = parentPort
port?.on('message', ({ frame, compressed }: DecodeRequest) => {
  try {
    const raw = decodeFrame(frame, compressed)
    // The decoded bytes have an ArrayBuffer of their own, which is moved without a copy.
    if (raw.buffer instanceof ArrayBuffer) port.postMessage(replyOf(raw), [raw.buffer])
    else port.postMessage(replyOf(raw))
  } catch (error) {
    const code = error instanceof IndexFormatError ? error.code : undefined
    const message = error instanceof Error ? error.message : String(error)
    port.postMessage({ kind: 'refused', code, message } satisfies DecodeReply)
  }
})
port?.postMessage({ kind: 'ready' } satisfies DecodeReply)

function replyOf(raw: Uint8Array): DecodeReply {
  return { kind: 'raw', raw }
}
