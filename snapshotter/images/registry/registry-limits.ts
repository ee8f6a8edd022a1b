/** Bounds on what a registry, an archive or a folder may make us hold or wait for. */
import type { ExchangeLimits, RangeLimits } from '../../../fusefs/index.js'

/** Manifests and indexes; the distribution spec asks registries to take at least this much. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** An image's configuration: containerd reads up to 8 MiB of it. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024
/** Layers, packs and indexes: far above any real one, below what arithmetic can lose. */
export const MAX_BLOB_BYTES = 2 ** 44
/** overlayfs of our kernels takes 500 lower directories; containerd's own limit is lower. */
export const MAX_LAYERS = 512
/** What an artifact manifest may name: the packs of a terabyte image. */
export const MAX_DESCRIPTORS = 20_000
/** An answer that carries an error or a token. */
export const MAX_ANSWER_BYTES = 1024 * 1024

export const CONNECT_TIMEOUT_MS = 10_000
/** From the request to the first byte of the answer. */
const HEADERS_TIMEOUT_MS = 60_000
/** Between two pieces of a body. */
const BODY_IDLE_TIMEOUT_MS = 60_000
/** For a whole exchange whose answer is small. */
export const SMALL_EXCHANGE_TIMEOUT_MS = 120_000
/** For a whole exchange that carries a blob, either way: 64 MiB at 20 KiB/s. */
export const BLOB_EXCHANGE_TIMEOUT_MS = 3_600_000

/** The slowest transfer that the deadline of a blob's download is extended for. */
export const SLOWEST_BYTES_PER_SECOND = 20 * 1024

/**
 * A registry is asked a few large questions, and people wait for the end of all of them. Content
 * ranges are many and small, and a read waits for each: their timeouts and back-off are shorter.
 */
export const REGISTRY_LIMITS: ExchangeLimits & RangeLimits = {
  headersTimeoutMs: HEADERS_TIMEOUT_MS,
  bodyInactivityTimeoutMs: BODY_IDLE_TIMEOUT_MS,
  maxAttempts: 5,
  backOffBaseMs: 200,
  backOffCapMs: 10_000,
  retryAfterCapMs: 10_000,
  maxRedirects: 5,
  // A layer is worth going on with as long as anything arrives, and is read from its start anyway.
  minProgressBytes: 1,
  maxSkippedBytes: MAX_BLOB_BYTES,
}
