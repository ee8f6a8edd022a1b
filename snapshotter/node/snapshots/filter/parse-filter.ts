/**
 * The parser of containerd's filter language:
 *
 *     filter   = selector *( "," selector )
 *     selector = field *( "." field ) [ operator value ]
 *     field    = 1*( letter | digit | "_" ) | string
 *     operator = "==" | "!=" | "~="
 *     value    = string | anything up to a comma or a space
 *
 * A string is a Go string in double quotes. After `~=`, slashes or bars may replace the quotes.
 */
import { RE2JS } from 're2js'
import { Scanner, type Token, filterError } from './token.js'
import { unquote } from './unquote.js'

/** One condition on one field. */
export type Selector = { readonly fieldPath: readonly string[] } & (
  | { readonly operator: 'present' }
  | { readonly operator: 'equal' | 'not-equal'; readonly value: string }
  | { readonly operator: 'matches'; readonly pattern: RE2JS }
)

/**
 * Parses one filter. Throws `invalid-argument`, which names the position and the expected token.
 */
export function parseFilter(input: string): Selector[] {
  if (input === '') return []
  const scanner = new Scanner(input)
  const selectors = [parseSelector(scanner)]
  while (scanner.nextCharacter !== undefined) {
    if (scanner.nextCharacter !== ',') {
      throw filterError(input, scanner.position, 'expected a comma or the end')
    }
    scanner.scan()
    selectors.push(parseSelector(scanner))
  }
  return selectors
}

function parseSelector(scanner: Scanner): Selector {
  const fieldPath = [parseField(scanner)]
  while (scanner.nextCharacter === '.') {
    scanner.scan()
    fieldPath.push(parseField(scanner))
  }
  if (scanner.nextCharacter === undefined || scanner.nextCharacter === ',') {
    return { fieldPath, operator: 'present' }
  }
  const token = scanner.scan()
  switch (token.text) {
    case '==':
      return { fieldPath, operator: 'equal', value: parseValue(scanner, false).text }
    case '!=':
      return { fieldPath, operator: 'not-equal', value: parseValue(scanner, false).text }
    case '~=':
      return { fieldPath, operator: 'matches', pattern: parsePattern(scanner) }
  }
  throw filterError(scanner.input, token.position, 'expected one of the operators ==, != and ~=')
}

function parseField(scanner: Scanner): string {
  const token = scanner.scan()
  if (token.kind === 'field') return token.text
  if (token.kind === 'quoted') return unquoted(scanner, token, false)
  throw filterError(scanner.input, token.position, 'expected a field or a string in double quotes')
}

function parseValue(scanner: Scanner, anyQuote: boolean): { text: string; position: number } {
  const token = scanner.scan()
  const { kind, text, position } = token
  if (kind === 'value' || kind === 'field') return { text, position }
  if (kind === 'quoted') return { text: unquoted(scanner, token, anyQuote), position }
  throw filterError(scanner.input, position, 'expected a value or a string in quotes')
}

function parsePattern(scanner: Scanner): RE2JS {
  const { text, position } = parseValue(scanner, true)
  try {
    return RE2JS.compile(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw filterError(scanner.input, position, `not a regular expression: ${reason}`)
  }
}

function unquoted(scanner: Scanner, token: Token, anyQuote: boolean): string {
  if (!anyQuote && !token.text.startsWith('"')) {
    throw filterError(scanner.input, token.position, 'only double quotes may stand here')
  }
  const result = unquote(token.text)
  if ('text' in result) return result.text
  throw filterError(scanner.input, token.position, result.problem)
}
