/** What a run of the cold-start benchmark leaves behind, as JSON: every single start, nothing averaged. */

/** A network between the machine and the registry. */
export interface Network {
  /** A word of the command line: `loopback`, `1ms`, `10ms`, `50ms`. */
  readonly name: string
  readonly roundTripMs: number
  /** Bits of one direction; undefined: unlimited. */
  readonly bitsPerSecond: number | undefined
}

export interface StartRecord {
  readonly workload: string
  readonly contender: string
  readonly network: string
  /** From 1. */
  readonly run: number
  readonly pullMs: number
  readonly createMs: number
  /** From the start of the task until it was ready. */
  readonly runMs: number
  readonly totalMs: number
  /** As the store saw them, from the pull until the program was ready. */
  readonly requests: number
  readonly receivedBytes: number
  /** Of those, after the task was started. */
  readonly requestsWhileRunning: number
  /** By process name: user and system time from the pull until ready. */
  readonly cpuSeconds: Readonly<Record<string, number>>
  /** By process name: the largest resident set. */
  readonly peakRssBytes: Readonly<Record<string, number>>
}

/** The limit that no way of pulling can beat, for one workload and network. */
export interface FloorRecord {
  readonly workload: string
  readonly network: string
  /** Create and run, warm, from local overlayfs: the median. */
  readonly warmMs: number
  /** Compressed size of the bytes that the start really touches. */
  readonly touchedBytes: number
  /** Round trips that a pull needs at least. */
  readonly roundTrips: number
  /** `warmMs`, and the touched bytes and round trips over this network. */
  readonly totalMs: number
}

export interface ColdStartResult {
  /** The command that made it. */
  readonly command: string
  /** See `machineLine`. */
  readonly machine: string
  /** ISO 8601. */
  readonly date: string
  readonly networks: readonly Network[]
  readonly skipped: readonly { readonly contender: string; readonly reason: string }[]
  readonly starts: readonly StartRecord[]
  readonly floors: readonly FloorRecord[]
}
