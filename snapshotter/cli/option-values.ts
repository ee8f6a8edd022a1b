/** Parsers of option values for Commander. */
import { InvalidArgumentError } from 'commander'

/**
 * A parser of a whole number from `min` to `max`. It throws `InvalidArgumentError`; Commander adds
 * the name of the option.
 */
export function wholeNumberBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** For an option that may be given several times: adds a value to the ones before it. */
export function collected(value: string, before: readonly string[]): string[] {
  return [...before, value]
}
