/** Applies containerd's filters to snapshots. */
import { SnapshotterError } from '../../errors.js'
import type { Snapshot } from './snapshot.js'
import { type Selector, parseFilter } from './filter/parse-filter.js'

/** Limit of the filters of one request. A usual request has a handful. */
const MAX_FILTERS = 1000
const MAX_FILTER_LENGTH = 64 * 1024

/**
 * A function that tells whether a snapshot matches any of `filters`. Without filters, and with an
 * empty one, every snapshot matches. Throws `invalid-argument` for text that is no filter, and for
 * more than 1000 filters or 65,536 characters in one.
 */
export function parseFilters(filters: readonly string[]): (snapshot: Snapshot) => boolean {
  if (filters.length > MAX_FILTERS || filters.some((text) => text.length > MAX_FILTER_LENGTH)) {
    const limit = `${MAX_FILTERS} filters of ${MAX_FILTER_LENGTH} characters`
    throw new SnapshotterError(
      'invalid-argument',
      `too many or too long filters; the limit is ${limit}`,
    )
  }
  if (filters.length === 0) return () => true
  const parsed = filters.map(parseFilter)
  return (snapshot) =>
    parsed.some((selectors) => selectors.every((selector) => matches(selector, snapshot)))
}

function matches(selector: Selector, snapshot: Snapshot): boolean {
  const value = fieldOf(snapshot, selector.fieldPath)
  switch (selector.operator) {
    case 'present':
      return value !== undefined
    case 'equal':
      return value === selector.value
    case 'not-equal':
      return (value ?? '') !== selector.value
    case 'matches':
      return selector.pattern.matcher(value ?? '').find()
  }
}

/** The value of a field that containerd's metadata store shows to filters; else undefined. */
function fieldOf(snapshot: Snapshot, fieldPath: readonly string[]): string | undefined {
  const [field, ...rest] = fieldPath
  if (field === 'kind') return snapshot.kind
  if (field === 'name') return snapshot.key
  if (field === 'parent') return snapshot.parent ?? ''
  if (field !== 'labels') return undefined
  const label = rest.join('.')
  return Object.hasOwn(snapshot.labels, label) ? snapshot.labels[label] : undefined
}
