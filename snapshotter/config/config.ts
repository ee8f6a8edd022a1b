/** The daemon's configuration, complete and checked: what everything else is built from. */
import type { ListenAddress } from './key.js'

export interface Config {
  /** Where snapshots, indexes and the cache are kept. Absolute path, fit for mount options. */
  readonly root: string
  /** Where sockets and what belongs to this boot are. Absolute path. */
  readonly state: string
  /** The socket of the snapshots service. */
  readonly address: string
  /** The socket that `thinctl status` asks. */
  readonly adminAddress: string
  /** Docker's `config.json`; undefined: where Docker itself would look. */
  readonly dockerConfig: string | undefined
  readonly log: LogConfig
  /** Where `/metrics` is served; undefined: nowhere. */
  readonly metricsAddress: ListenAddress | undefined
  readonly cache: CacheConfig
  readonly fetch: FetchConfig
  readonly prefetch: PrefetchConfig
  readonly background: BackgroundConfig
  readonly fuse: FuseConfig
  readonly watchdog: WatchdogConfig
  readonly profile: ProfileConfig
  /** Prefixes of host directories that images may name as layers. Absolute paths; empty: none. */
  readonly allowedHostDirectories: readonly string[]
  /** The file's in their order, then those of `plain_http`; the first whose prefix fits counts. */
  readonly mirrors: readonly StoreMirror[]
  /** By host or host:port, as in an image reference. */
  readonly registries: ReadonlyMap<string, RegistryConfig>
}

export interface LogConfig {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  /** One JSON object a line, or lines for people. */
  readonly format: 'json' | 'text'
}

export interface CacheConfig {
  /** Default `<root>/cache`. */
  readonly directory: string
  /** Uncompressed bytes kept on disk. */
  readonly maxBytes: number
  /** Uncompressed bytes kept in memory. */
  readonly memoryBytes: number
}

export interface FetchConfig {
  /** Range requests under way at once. */
  readonly concurrency: number
  readonly connectionsPerOrigin: number
  /** Requests for one range, the first included. */
  readonly attempts: number
  readonly connectTimeoutMs: number
  /** From the request to the answer's headers. */
  readonly answerTimeoutMs: number
  /** Between two pieces of an answer. */
  readonly stallTimeoutMs: number
  /** For one range, with all retries. */
  readonly deadlineMs: number
  /** Threads that decompress and verify what arrives. */
  readonly decoders: number
}

/** What is fetched because a start will want it. */
export interface PrefetchConfig {
  /** Range requests under way at once; of `fetch.concurrency`, some stay free for reads. */
  readonly concurrency: number
  /** Compressed bytes; 0: as much as the network gives. */
  readonly bytesPerSecond: number
  /** What a library needs is fetched when a program waits for the library. */
  readonly libraries: boolean
}

/** What is fetched so that images need their store no longer. */
export interface BackgroundConfig {
  /** Which images are completed. */
  readonly complete: 'none' | 'all'
  /** Compressed bytes; 0: as much as the network gives. */
  readonly bytesPerSecond: number
  /** How long no read must have waited for a store before it goes on. */
  readonly quietMs: number
}

export interface FuseConfig {
  /** Threads that answer the kernel, for each superblock. */
  readonly dispatchers: number
  readonly readAheadKib: number
}

export interface WatchdogConfig {
  /** How long a daemon may leave its keeper without an answer; 0: for ever. */
  readonly deadlineMs: number
  /** Whether a second process is ready to take over. */
  readonly standby: boolean
}

/** What is done for images that were published without a start. */
export interface ProfileConfig {
  /** Their first start on this node is learned. */
  readonly learn: boolean
  /** How much of it, from its first read on. */
  readonly learnPeriodMs: number
  /** Their stores are asked for a profile. */
  readonly shared: boolean
}

/** Stores whose URL begins with `prefix` are first looked for where the replacements say. */
export interface StoreMirror {
  readonly prefix: string
  /** What to put in the place of the prefix, first choice first; at least one. */
  readonly replacements: readonly string[]
}

export interface RegistryConfig {
  /** Undefined: as Docker's configuration says. Set together with `passwordFile`. */
  readonly username: string | undefined
  /** Holds the password alone; a newline at its end does not count. */
  readonly passwordFile: string | undefined
  /** A PEM file of certificate authorities, trusted beside the system's. */
  readonly ca: string | undefined
}
