/** Values of options, as Commander parses them. */
import { InvalidArgumentError } from 'commander'

/** Parses one from `min` to `max`; Commander adds which option it was. */
export function wholeNumberBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** For an option that may be given several times: its values in order. */
export function collected(value: string, before: readonly string[]): string[] {
  return [...before, value]
}
