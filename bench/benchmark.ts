/** One part of the instrument: a word of `bench/run`. */
import type { Report } from './report.js'

export interface BenchmarkOptions {
  /** How often each contender is measured. */
  readonly runs: number
  /** Says what is being done, for a person who waits. */
  readonly progress: (line: string) => void
}

export interface Benchmark {
  readonly name: string
  readonly description: string
  readonly run: (options: BenchmarkOptions) => Promise<readonly Report[]>
}
