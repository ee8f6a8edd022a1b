/** Parses sizes and durations as people write them. */

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}
const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60 * 1000,
  h: 60 * 60 * 1000,
}

const SIZE = /^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g

/**
 * Bytes from a number of bytes, or from a text like `10GiB` or `1.5 MB`; undefined for other
 * values.
 */
export function bytesFrom(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  const [, amount, unit] = typeof value === 'string' ? (SIZE.exec(value) ?? []) : []
  if (amount === undefined || unit === undefined) return undefined
  return Math.round(Number(amount) * (BYTES[unit] ?? Number.NaN))
}

/**
 * Milliseconds from a number of seconds, or from a text like `30s` or `1m30s`; undefined for other
 * values.
 */
export function millisecondsFrom(value: unknown): number | undefined {
  if (typeof value === 'number') return Math.round(value * 1000)
  if (typeof value !== 'string' || !DURATION.test(value)) return undefined
  let sum = 0
  for (const [, amount, unit] of value.matchAll(DURATION_PART)) {
    sum += Number(amount) * (MILLISECONDS[unit ?? ''] ?? Number.NaN)
  }
  return Math.round(sum)
}
