/**
 * Shows raw bytes in error messages. Names in images are bytes, and may be hostile. A message must
 * stay one line, printable and short, whatever bytes it shows.
 */

const MAX_SHOWN_BYTES = 200

/**
 * `bytes` as text: printable ASCII as it is, a backslash doubled, any other byte as `\xNN`. Beyond
 * 200 bytes the text is cut, and ends with the total number of bytes.
 */
export function escapeBytes(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes.subarray(0, MAX_SHOWN_BYTES)) {
    if (byte === 0x5c) text += '\\\\'
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return bytes.length > MAX_SHOWN_BYTES ? `${text}... (${String(bytes.length)} bytes)` : text
}
