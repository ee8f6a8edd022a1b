/** What a filter means for a snapshot. */
import { SnapshotterError } from '../../errors.js'
import type { Snapshot } from './snapshot.js'
import { type Selector, parseFilter } from './filter/parse-filter.js'

/** A list request names a handful. */
const MAX_FILTERS = 1000
const MAX_FILTER_LENGTH = 64 * 1024

/**
 * A test for snapshots that match any of the filters; every snapshot matches none and the empty
 * one. Throws `invalid-argument` for what is no filter.
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

/** The fields that containerd's metadata store lets filters see; undefined for any other. */
function fieldOf(snapshot: Snapshot, fieldPath: readonly string[]): string | undefined {
  const [field, ...rest] = fieldPath
  if (field === 'kind') return snapshot.kind
  if (field === 'name') return snapshot.key
  if (field === 'parent') return snapshot.parent ?? ''
  if (field !== 'labels') return undefined
  const label = rest.join('.')
  return Object.hasOwn(snapshot.labels, label) ? snapshot.labels[label] : undefined
}
