/** Strings of the filter language: Go's strings, in double quotes, slashes or bars. */

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
  '\\': 0x5c,
}
/** Number of digits after `\x`, `\u` and `\U`. */
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }
const MAX_CODE_POINT = 0x10ffff

/**
 * The text of a quoted string, or the problem with it. `\x` and octal escapes give single bytes.
 * All bytes together are decoded as UTF-8.
 */
export function unquote(quoted: string): { readonly text: string } | { readonly problem: string } {
  const quote = quoted.slice(0, 1)
  const characters = Array.from(quoted.slice(1, -1))
  const parts: Buffer[] = []
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? ''
    if (character !== '\\') {
      parts.push(Buffer.from(character))
      continue
    }
    const escape = decodeEscape(characters.slice(i + 1, i + 10), quote)
    if (escape === undefined) {
      return { problem: `an escape sequence that is none: \\${characters[i + 1] ?? ''}` }
    }
    parts.push(escape.bytes)
    i += escape.length
  }
  return { text: Buffer.concat(parts).toString() }
}

/**
 * The bytes and the length of the escape sequence at the start of `characters`, which follow the
 * backslash. Undefined where there is no valid sequence.
 */
function decodeEscape(
  characters: readonly string[],
  quote: string,
): { bytes: Buffer; length: number } | undefined {
  const kind = characters[0] ?? ''
  if (kind === quote) return { bytes: Buffer.from(quote), length: 1 }
  const simple = SIMPLE_ESCAPES[kind]
  if (simple !== undefined) return { bytes: Buffer.of(simple), length: 1 }
  const hexDigits = HEX_DIGITS[kind]
  if (hexDigits !== undefined) {
    const digits = characters.slice(1, 1 + hexDigits).join('')
    if (digits.length !== hexDigits || !/^[0-9A-Fa-f]+$/.test(digits)) return undefined
    const value = Number.parseInt(digits, 16)
    if (value > MAX_CODE_POINT) return undefined
    const bytes = kind === 'x' ? Buffer.of(value) : Buffer.from(String.fromCodePoint(value))
    return { bytes, length: 1 + hexDigits }
  }
  const octal = characters.slice(0, 3).join('')
  if (!/^[0-3][0-7]{2}$/.test(octal)) return undefined
  return { bytes: Buffer.of(Number.parseInt(octal, 8)), length: 3 }
}
