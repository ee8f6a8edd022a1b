/** Reads a small body into memory, up to a limit, with the errors of this layer. */
import { boundedBody } from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'

/**
 * All bytes of `body`. Throws `invalid-content` as soon as there are more than `maxBytes`. `where`
 * names the origin of the body at the start of the message. Errors of `body` pass unchanged.
 */
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
