/** Splits a command line into words as a shell does, without expanding anything. */
import { InvalidArgumentError } from 'commander'

/** One part of a word: in single quotes, in double quotes, after a backslash, or plain. */
const PART = /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^\s'"\\]+)/y

/** Throws `InvalidArgumentError` for an open quote, a final backslash, or text without words. */
export function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  for (let at = 0; at < text.length;) {
    PART.lastIndex = at
    const part = PART.exec(text)
    if (part !== null) {
      const [whole, single, double, escaped, plain] = part
      word =
        (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? '')
      at += whole.length
    } else if (/\s/.test(text.charAt(at))) {
      if (word !== undefined) words.push(word)
      word = undefined
      at++
    } else {
      throw new InvalidArgumentError(`a quote or a backslash in ${text.slice(at)} has no end.`)
    }
  }
  if (word !== undefined) words.push(word)
  if (words.length > 0) return words
  throw new InvalidArgumentError('there is no command.')
}
