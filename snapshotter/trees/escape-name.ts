/**
 * Escapes names for people. The bytes of names in an image come from a stranger and must not move a
 * terminal's cursor. The form is that of `ls -b`: every byte that is not part of a printable
 * character of valid UTF-8 is escaped as in C. So every name has exactly one printed form and can
 * be read back.
 */

const ESCAPES = new Map<number, string>([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x20, '\\ '],
  [0x5c, '\\\\'],
])

/**
 * Letters, marks, numbers, punctuation and symbols. Controls, every kind of space, unassigned and
 * private code points are left out. So are format characters, which can turn the direction of a
 * line.
 */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u

/** The printed form of one name, or of any bytes that are not a path. */
export function escapeName(name: Uint8Array): string {
  let text = ''
  for (let i = 0; i < name.length;) {
    const length = characterLength(name, i)
    const character = length > 0 ? decodeStrict(name.subarray(i, i + length)) : undefined
    if (character !== undefined && character !== '\\' && PRINTABLE.test(character)) {
      text += character
      i += length
    } else {
      text += escapeByte(name[i] ?? 0)
      i += 1
    }
  }
  return text
}

/** The printed form of a path; slashes are kept. */
export function escapePath(path: Uint8Array): string {
  return escapeName(path)
}

/** The bytes whose printed form is `text`. Arguments may carry the escapes that `ls` prints. */
export function unescapePath(text: string): Uint8Array {
  const parts: Uint8Array[] = []
  const escape = /\\(?:([0-7]{3})|([abtnvfr \\]))/g
  let done = 0
  for (const match of text.matchAll(escape)) {
    parts.push(Buffer.from(text.slice(done, match.index)))
    parts.push(Uint8Array.of(byteOfEscape(match[1], match[2])))
    done = match.index + match[0].length
  }
  parts.push(Buffer.from(text.slice(done)))
  return Buffer.concat(parts)
}

function byteOfEscape(octal: string | undefined, letter: string | undefined): number {
  if (octal !== undefined) return Number.parseInt(octal, 8) & 0xff
  for (const [byte, escape] of ESCAPES) if (escape === `\\${letter ?? ''}`) return byte
  return 0x5c
}

function escapeByte(byte: number): string {
  return ESCAPES.get(byte) ?? `\\${byte.toString(8).padStart(3, '0')}`
}

/**
 * The length in bytes that the byte at `at` gives its UTF-8 sequence; 0 if no sequence can begin
 * there.
 */
function characterLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0
  if (lead < 0x80) return 1
  if (lead < 0xc2) return 0
  if (lead < 0xe0) return 2
  if (lead < 0xf0) return 3
  return lead < 0xf5 ? 4 : 0
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeStrict(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}
