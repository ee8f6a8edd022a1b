/** Whole small contents, of any origin. */
import { boundedBody as boundedBytes } from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'

/** All bytes of `body`. Throws `invalid-content` as soon as there are more than `maxBytes`. */
export function boundedBody(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  where: string,
): Promise<Buffer> {
  return boundedBytes(body, maxBytes, () => {
    const message = `${where}: more than the ${maxBytes} bytes that are allowed`
    return new SnapshotterError('invalid-content', message)
  })
}
