/** The daemon's configuration, complete and checked. */
import type { ListenAddress } from './key.js'

export interface Config {
  /** Folder of snapshots, indexes and the cache. Absolute path, allowed in mount options. */
  readonly root: string
  /** Folder of sockets and of state that lasts until the next boot. Absolute path. */
  readonly state: string
  /** Path of the socket of the snapshots service. */
  readonly address: string
  /** Path of the socket that `thinctl status` connects to. */
  readonly adminAddress: string
  /** Path of Docker's `config.json`. Undefined: the path that Docker itself uses. */
  readonly dockerConfig: string | undefined
  readonly log: LogConfig
  /** Address of `/metrics`. Undefined: it is not served. */
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
  readonly stores: StoresConfig
  /**
   * The `[[store]]` tables in the order of the file, then one entry for each registry with
   * `plain_http`. The first entry whose prefix matches applies.
   */
  readonly mirrors: readonly StoreMirror[]
  /** Keys are host or host:port, as in an image reference. */
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
  /** Limit of the range requests at the same time, to one server and to all servers together. */
  readonly concurrency: number
  readonly connectionsPerOrigin: number
  /** Attempts for one range, the first included. */
  readonly attempts: number
  readonly connectTimeoutMs: number
  /** Limit from a request to the headers of the answer. */
  readonly answerTimeoutMs: number
  /** Limit between two pieces of an answer. */
  readonly stallTimeoutMs: number
  /** Longest time from a request of the kernel to its answer. */
  readonly deadlineMs: number
  /** How long a read tries again after a failure that may pass. At most `deadlineMs`. */
  readonly retryForMs: number
  /** Threads that decompress and verify fetched content. */
  readonly decoders: number
}

/** Prefetch: content of a start is fetched before the program reads it. */
export interface PrefetchConfig {
  /**
   * Range requests for prefetch at the same time. Two of `fetch.concurrency` stay free for reads.
   */
  readonly concurrency: number
  /** Compressed bytes a second for prefetch; 0: no limit. */
  readonly bytesPerSecond: number
  /** When a program waits for a library, the libraries that this library needs are fetched too. */
  readonly libraries: boolean
}

/** Completion: the rest of an image is fetched, so that the image no longer needs its store. */
export interface BackgroundConfig {
  /** Which images are completed. */
  readonly complete: 'none' | 'all'
  /** Compressed bytes a second for completion; 0: no limit. */
  readonly bytesPerSecond: number
  /** Completion goes on after no read has waited for a store for this long. */
  readonly quietMs: number
}

export interface FuseConfig {
  /** Threads of each superblock that answer the kernel. */
  readonly dispatchers: number
  readonly readAheadKib: number
}

export interface WatchdogConfig {
  /** The keeper replaces a daemon that does not answer for this long; 0: never. */
  readonly deadlineMs: number
  /** Whether a second process is ready to take over. */
  readonly standby: boolean
}

/** Settings for images that were published without a startup pack. */
export interface ProfileConfig {
  /** Whether the first start of such an image on this node is learned. */
  readonly learn: boolean
  /** Longest part of a start that is learned, counted from its first read. */
  readonly learnPeriodMs: number
  /** Whether the stores of such an image are asked for a shared profile. */
  readonly shared: boolean
}

/** The stores that a recipe may name. */
export interface StoresConfig {
  /** Beginnings of the URLs of stores that a recipe may name. */
  readonly allow: readonly string[]
}

/** For a store whose URL begins with `prefix`, the replacements are tried first. */
export interface StoreMirror {
  readonly prefix: string
  /** URLs that replace the prefix, first choice first; at least one. */
  readonly replacements: readonly string[]
}

export interface RegistryConfig {
  /** Undefined: Docker's configuration applies. Set together with `passwordFile`. */
  readonly username: string | undefined
  /** Path of a file that holds only the password. A newline at its end is ignored. */
  readonly passwordFile: string | undefined
  /** Path of a PEM file of certificate authorities, trusted beside the system's. */
  readonly ca: string | undefined
  /**
   * As `FetchConfig.retryForMs`, for the stores on this host. Undefined: the value of
   * `FetchConfig.retryForMs`.
   */
  readonly retryForMs: number | undefined
  /** The registry is spoken to without TLS, credentials included. */
  readonly plainHttp: boolean
}
