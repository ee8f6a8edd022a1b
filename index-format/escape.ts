/**
 * Shows raw bytes in a message. Names in images are bytes, often hostile ones: a message must be one
 * line, printable and short, whatever is in them.
 */

const MAX_SHOWN_BYTES = 200

/** `bytes` with everything but printable ASCII as `\xNN`, cut after 200 bytes. */
export function escapeBytes(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes.subarray(0, MAX_SHOWN_BYTES)) {
    if (byte === 0x5c) text += '\\\\'
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return bytes.length > MAX_SHOWN_BYTES ? `${text}... (${String(bytes.length)} bytes)` : text
}
