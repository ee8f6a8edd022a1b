/** A command line in one text, split into words as a shell does it; nothing in them is expanded. */
import { InvalidArgumentError } from 'commander'

/** A word's parts: in single quotes, in double quotes, after a backslash, or as they stand. */
const PART = /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^\s'"\\]+)/y

/** Throws `InvalidArgumentError` for a quote without its end, and for a text without words. */
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
