import { InvalidArgumentError } from 'commander'

/** Parser of an option that counts something. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new InvalidArgumentError('It must be a whole number from 1.')
}
