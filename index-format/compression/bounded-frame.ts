/** Decompresses a small document from one zstd frame with its content size in the header. */
import zstd from 'zstd-napi/binding.js'
import { IndexFormatError } from '../errors.js'

/**
 * Decompresses a frame whose content has at most `maxBytes`; `what` names it in messages. Throws
 * `invalid-compression` if the frame is damaged. Throws `limit-exceeded`, before it allocates, if
 * the frame claims more bytes or no size.
 */
export function decompressedFrame(
  compressed: Uint8Array,
  { maxBytes, what }: { readonly maxBytes: number; readonly what: string },
): Buffer {
  let claimed: number | null
  try {
    claimed = zstd.getFrameContentSize(compressed)
    if (claimed !== null && claimed <= maxBytes) {
      const target = Buffer.allocUnsafeSlow(claimed)
      return target.subarray(0, zstd.decompress(target, compressed))
    }
  } catch (cause) {
    throw new IndexFormatError('invalid-compression', `${what}: damaged zstd`, { cause })
  }
  throw tooLarge(claimed ?? Number.POSITIVE_INFINITY, { maxBytes, what })
}

/** The error for a document of more than `maxBytes`. */
export function tooLarge(
  sizeBytes: number,
  { maxBytes, what }: { readonly maxBytes: number; readonly what: string },
): IndexFormatError {
  const message = `${what}: ${sizeBytes} bytes, at most ${maxBytes} are allowed`
  return new IndexFormatError('limit-exceeded', message)
}
