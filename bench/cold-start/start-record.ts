/**
 * The results of a cold-start benchmark, as JSON. They contain every single start and no averages.
 */

/** A network between the machine and the registry. */
export interface Network {
  /** Name on the command line: `loopback`, `1ms`, `10ms`, `50ms`. */
  readonly name: string
  readonly roundTripMs: number
  /** Bandwidth of one direction. undefined: unlimited. */
  readonly bitsPerSecond: number | undefined
}

export interface StartRecord {
  readonly workload: string
  readonly contender: string
  readonly network: string
  /** Number of the run, from 1. */
  readonly run: number
  readonly pullMs: number
  readonly createMs: number
  /** Time from the start of the task until the program was ready. */
  readonly runMs: number
  readonly totalMs: number
  /**
   * Requests to the registry, and bytes received from it, from the pull until the program was
   * ready.
   */
  readonly requests: number
  readonly receivedBytes: number
  /** Number of these requests after the start of the task. */
  readonly requestsWhileRunning: number
  /** User and system time from the pull until the program was ready, by process name. */
  readonly cpuSeconds: Readonly<Record<string, number>>
  /** The largest resident set, by process name. */
  readonly peakRssBytes: Readonly<Record<string, number>>
}

/** The lower limit of every way to pull, for one workload and network. */
export interface FloorRecord {
  readonly workload: string
  readonly network: string
  /** Median time of create and run from local overlayfs, warm. */
  readonly warmMs: number
  /** Compressed size of the bytes that the start reads. */
  readonly touchedBytes: number
  /** Least number of round trips of a pull. */
  readonly roundTrips: number
  /** `warmMs`, plus the time of the touched bytes and of the round trips over this network. */
  readonly totalMs: number
}

export interface ColdStartResult {
  /** The command line of the benchmark. */
  readonly command: string
  /** The result of `machineLine`. */
  readonly machine: string
  /** Date and time in ISO 8601. */
  readonly date: string
  readonly networks: readonly Network[]
  readonly skipped: readonly { readonly contender: string; readonly reason: string }[]
  readonly starts: readonly StartRecord[]
  readonly floors: readonly FloorRecord[]
}
