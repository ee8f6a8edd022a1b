/** One benchmark. Its name is a word of the command line of `bench/run`. */
import type { Report } from './report.js'

export interface BenchmarkOptions {
  /** Measurements of each contender. */
  readonly runs: number
  /** Reports progress to a person. */
  readonly progress: (line: string) => void
}

export interface Benchmark {
  readonly name: string
  readonly description: string
  readonly run: (options: BenchmarkOptions) => Promise<readonly Report[]>
}
