/** Whole small contents, of any origin. */
import { boundedBody } from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'

/** All bytes of `body`. Throws `invalid-content` as soon as there are more than `maxBytes`. */
export function boundedContent(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  where: string,
): Promise<Buffer> {
  return boundedBody(body, maxBytes, () => {
    const message = `${where}: more than the ${maxBytes} bytes that are allowed`
    return new SnapshotterError('invalid-content', message)
  })
}
