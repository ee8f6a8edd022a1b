/**
 * Streaming zstd decompression with bounded output. zstd-napi's stream class emits all output of
 * one input chunk at once, and a frame may expand 10,000 times. So this module calls the
 * decompression context itself, for one output buffer at a time.
 */
import binding from 'zstd-napi/binding.js'
import { IndexFormatError } from '../errors.js'

const OUTPUT_CHUNK_BYTES = 256 * 1024
/** If the rest of the output buffer is smaller than this, a new buffer is allocated. */
const MIN_OUTPUT_BYTES = 32 * 1024
/** zstd's own default: a frame that needs a window over 128 MiB is refused. */
const MAX_WINDOW_LOG = 27

/**
 * The content of all frames of `source`, one after the other. Throws `invalid-compression` for a
 * damaged frame and `truncated` when the source ends inside one; `name` is for messages.
 */
export async function* unzstd(
  source: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const context = new binding.DCtx()
  context.setParameter(binding.DParameter.windowLogMax, MAX_WINDOW_LOG)
  let insideFrame = false
  let slab = Buffer.alloc(0)
  for await (const chunk of source) {
    let input = chunk
    for (;;) {
      // Bytes that were yielded are never overwritten: the next step uses the rest of the slab.
      if (slab.length < MIN_OUTPUT_BYTES) slab = Buffer.allocUnsafeSlow(OUTPUT_CHUNK_BYTES)
      const output = slab
      const [hint, produced, consumed] = step(context, output, input, name)
      slab = slab.subarray(produced)
      if (produced > 0) yield output.subarray(0, produced)
      if (consumed > 0 || produced > 0) insideFrame = hint !== 0
      input = input.subarray(consumed)
      // If the output buffer is full, the context may hold more output.
      if (input.length === 0 && (produced < output.length || hint === 0)) break
    }
  }
  if (insideFrame) {
    throw new IndexFormatError('truncated', `${name}: the zstd stream ends inside a frame`)
  }
}

function step(
  context: binding.DCtx,
  output: Buffer,
  input: Uint8Array,
  name: string,
): binding.StreamResult {
  try {
    return context.decompressStream(output, input)
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    throw new IndexFormatError('invalid-compression', `${name}: damaged zstd: ${detail}`, {
      cause: error,
    })
  }
}
