/**
 * Writes tar archives of regular files, for thin layers and image archives (POSIX.1-1988 ustar,
 * sizes below 8 GiB). Owner and time are 0 and the mode is 0644, so that equal contents give equal
 * bytes.
 */
import { SnapshotterError } from '../errors.js'

const BLOCK = 512
const MAX_NAME_BYTES = 100
const MAX_SIZE_BYTES = 8 ** 11 - 1

/**
 * The header of a regular file. Throws `invalid-argument` for a name over 100 bytes or a size from
 * 8 GiB.
 */
export function ustarHeader(name: string, sizeBytes: number): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES || sizeBytes > MAX_SIZE_BYTES) {
    throw new SnapshotterError(
      'invalid-argument',
      `tar member ${name} of ${sizeBytes} bytes: ustar takes names of ${MAX_NAME_BYTES} bytes and ` +
        `files below 8 GiB`,
    )
  }
  const block = Buffer.alloc(BLOCK)
  block.write(name, 0, 'utf8')
  block.write('0000644\0', 100, 'latin1')
  block.write('0000000\0', 108, 'latin1')
  block.write('0000000\0', 116, 'latin1')
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  block.write('00000000000\0', 136, 'latin1')
  block.write('        ', 148, 'latin1')
  block.write('0', 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** The zeros that fill the last block of a member. */
export function ustarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK)
}

/** The end of an archive: two blocks of zeros. */
export function ustarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK)
}

/** A whole archive of small files, in the order given. */
export function ustarArchive(files: readonly { name: string; bytes: Uint8Array }[]): Buffer {
  const pieces = files.flatMap(({ name, bytes }) => [
    ustarHeader(name, bytes.length),
    bytes,
    ustarPadding(bytes.length),
  ])
  return Buffer.concat([...pieces, ustarEnd()])
}
