/** Summaries of several measurements of the same thing. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

/** Throws for an empty list, which has no median. */
export function summaryOf(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]
  const below = sorted[Math.floor((sorted.length - 1) / 2)]
  const [min] = sorted
  const max = sorted.at(-1)
  if (middle === undefined || below === undefined || min === undefined || max === undefined) {
    throw new Error('there is no median of nothing')
  }
  return { median: (middle + below) / 2, min, max, count: sorted.length }
}

/** The median alone. Throws for an empty list. */
export function medianOf(values: readonly number[]): number {
  return summaryOf(values).median
}

/** The geometric mean, for ratios. Undefined for an empty list. All values must be above 0. */
export function geometricMeanOf(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}
