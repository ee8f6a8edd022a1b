/** The conditions of the measurement, which a reader must know to judge the figures. */
import type { Figures } from './figures.js'
import type { ColdStartResult } from '../cold-start/start-record.js'

const MOST_MISSING_LISTED = 12

/**
 * Sentences: how the figures were measured, which contenders were not measured, and what is
 * missing.
 */
export function conditionsOf(result: ColdStartResult, figures: Figures): readonly string[] {
  const missing = figures.missing()
  const hidden = missing.length - MOST_MISSING_LISTED
  const listed = missing.slice(0, MOST_MISSING_LISTED).join('; ')
  return [
    `Medians of ${figures.runs} runs, each on a new containerd that has seen no image, kernel caches dropped.`,
    'Floor: create and run, warm, from local overlayfs, plus the compressed bytes that the start ' +
      'touches over the bandwidth, plus the least round trips.',
    ...result.skipped.map(({ contender, reason }) => `Not measured: ${contender} (${reason}).`),
    ...(missing.length === 0
      ? []
      : [`Incomplete: ${listed}${hidden > 0 ? `; and ${hidden} more` : ''}.`]),
  ]
}
