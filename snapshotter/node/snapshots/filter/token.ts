/**
 * The scanner of containerd's filter language: from text to tokens with their positions. It has one
 * bit of state, which says that an operator precedes. A value may then hold nearly any character up
 * to a comma.
 */
import { SnapshotterError } from '../../../errors.js'

export type TokenKind =
  | 'end'
  /** A field's name: letters, digits and underscores. */
  | 'field'
  /** A string in quotes, the quotes included. */
  | 'quoted'
  /** A value without quotes. */
  | 'value'
  /** A comma or a dot. */
  | 'separator'
  /** A run of `=`, `!` and `~`. The parser refuses runs that are no operator. */
  | 'operator'
  /** Any other character. */
  | 'other'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  /** Number of characters before the token. */
  readonly position: number
}

const FIELD = /[A-Za-z0-9_]/
const OPERATOR = /[=!~]/
const QUOTE = /["/|]/
const SPACE = /\s/
/**
 * Letters, marks, numbers, punctuation and symbols: Go's graphic characters without spaces. The
 * scanner excludes the comma.
 */
const VALUE = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u

/** An `invalid-argument` error that names the filter, the position and the problem. */
export function filterError(input: string, position: number, problem: string): SnapshotterError {
  const place = `at character ${position + 1}`
  return new SnapshotterError(
    'invalid-argument',
    `filter ${JSON.stringify(input)}: ${place}: ${problem}`,
  )
}

export class Scanner {
  readonly input: string
  /** Code points, because a regular expression may hold any. */
  readonly #characters: readonly string[]
  #position = 0
  #expectsValue = false

  constructor(input: string) {
    this.input = input
    this.#characters = Array.from(input)
  }

  /** The next character, which may be a space; undefined at the end. */
  get nextCharacter(): string | undefined {
    return this.#characters[this.#position]
  }

  get position(): number {
    return this.#position
  }

  /**
   * Skips spaces and takes a token. Throws `invalid-argument` for an unfinished string, and for a
   * token that begins with a NUL or U+FFFD.
   */
  scan(): Token {
    while (SPACE.test(this.nextCharacter ?? '')) this.#position++
    const position = this.#position
    const first = this.nextCharacter
    if (first === undefined) return { kind: 'end', text: '', position }
    this.#position++
    const kind = this.#kindOf(first)
    switch (kind) {
      case 'quoted':
        this.#skipQuoted(first, position)
        break
      case 'operator':
        this.#skip(OPERATOR)
        this.#expectsValue = true
        break
      case 'value':
        while (this.nextCharacter !== ',' && VALUE.test(this.nextCharacter ?? '')) this.#position++
        this.#expectsValue = false
        break
      case 'field':
        this.#skip(FIELD)
        break
      case 'separator':
        this.#expectsValue = false
        break
      case 'other':
        break
    }
    return { kind, text: this.#characters.slice(position, this.#position).join(''), position }
  }

  #kindOf(first: string): Exclude<TokenKind, 'end'> {
    // The decoder puts U+FFFD in the place of bytes that are not UTF-8.
    if (first === '\0' || first === '\uFFFD') {
      throw filterError(this.input, this.#position - 1, 'a character that no filter may hold')
    }
    if (QUOTE.test(first)) return 'quoted'
    if (first === ',' || first === '.') return 'separator'
    if (OPERATOR.test(first)) return 'operator'
    if (this.#expectsValue) return 'value'
    return FIELD.test(first) ? 'field' : 'other'
  }

  #skip(pattern: RegExp): void {
    while (pattern.test(this.nextCharacter ?? '')) this.#position++
  }

  #skipQuoted(quote: string, start: number): void {
    for (;;) {
      const character = this.nextCharacter
      if (character === undefined || character === '\n') {
        throw filterError(this.input, start, `a string without its closing ${quote}`)
      }
      this.#position += character === '\\' ? 2 : 1
      if (character === quote) return
    }
  }
}
