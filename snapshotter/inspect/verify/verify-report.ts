/** Sums up a verification. The report is bounded, however many differences there are. */
import {
  type Difference,
  type DifferenceJson,
  type DifferenceKind,
  jsonFromDifference,
} from './difference.js'
import type { VerifyProgress } from './verify-image.js'

/** Differences that a report lists. Further ones are only counted. */
const MAX_LISTED = 10_000

export interface VerifyReportJson {
  readonly thin: string
  readonly original: string
  readonly equal: boolean
  readonly platforms: readonly VerifiedPlatform[]
  /** Number of all differences. */
  readonly count: number
  readonly counts: Partial<Record<DifferenceKind, number>>
  readonly differences: readonly DifferenceJson[]
  /** Whether there are more differences than are listed. */
  readonly truncated: boolean
}

/** The amount that was compared for one platform. */
export interface VerifiedPlatform {
  readonly platform: string
  readonly trees: number
  readonly names: number
  readonly contentBytes: number
}

export class VerifyReport {
  readonly #counts: Partial<Record<DifferenceKind, number>> = {}
  readonly #listed: DifferenceJson[] = []
  readonly #platforms = new Map<string, VerifiedPlatform>()
  #count = 0

  /** Number of differences so far. */
  get count(): number {
    return this.#count
  }

  add(difference: Difference): void {
    this.#count++
    this.#counts[difference.kind] = (this.#counts[difference.kind] ?? 0) + 1
    if (this.#listed.length < MAX_LISTED) this.#listed.push(jsonFromDifference(difference))
  }

  progress(progress: VerifyProgress): void {
    if (progress.stage !== 'compare') return
    const { contentBytes, names, platform, trees } = progress
    this.#platforms.set(platform, { platform, trees, names, contentBytes })
  }

  json(images: { readonly thin: string; readonly original: string }): VerifyReportJson {
    return {
      ...images,
      equal: this.#count === 0,
      platforms: [...this.#platforms.values()],
      count: this.#count,
      counts: this.#counts,
      differences: this.#listed,
      truncated: this.#count > this.#listed.length,
    }
  }
}
