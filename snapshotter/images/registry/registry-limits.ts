/**
 * Limits for content of a registry, an archive or a folder: the memory that it may take, and the
 * time that we wait for it.
 */
import type { ExchangeLimits, RangeLimits } from '../../../fusefs/index.js'

/**
 * Size of a manifest or an index. The distribution spec asks registries to accept at least this.
 */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** Size of an image's configuration. containerd reads up to 8 MiB. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024
/** Size of a layer, pack or index. Real ones are far smaller, and sums of sizes stay exact. */
export const MAX_BLOB_BYTES = 2 ** 44
/** Layers of an image. overlayfs accepts 500 lower directories; containerd's limit is lower. */
export const MAX_LAYERS = 512
/** Descriptors in a manifest or an index. A terabyte image has this many packs. */
export const MAX_DESCRIPTORS = 20_000
/** Size of an answer that carries a token, and of the output of a credential helper. */
export const MAX_ANSWER_BYTES = 1024 * 1024

export const CONNECT_TIMEOUT_MS = 10_000
/** Limit from the request to the answer's headers. */
const HEADERS_TIMEOUT_MS = 60_000
/** Limit between two pieces of a body. */
const BODY_IDLE_TIMEOUT_MS = 60_000
/** Limit of an exchange with small bodies, with its retries. */
export const SMALL_EXCHANGE_TIMEOUT_MS = 120_000
/** Limit of an exchange that sends or receives a blob. 64 MiB take this long at 20 KiB/s. */
export const BLOB_EXCHANGE_TIMEOUT_MS = 3_600_000

/** The deadline of a blob's download grows with its size, so that this rate is fast enough. */
export const SLOWEST_BYTES_PER_SECOND = 20 * 1024

/**
 * Limits of exchanges with registries. These are few and large, and a person waits for all of them
 * together. Reads of content are many and small, and a program waits for each one. So their own
 * limits have shorter timeouts and waits.
 */
export const REGISTRY_LIMITS: ExchangeLimits & RangeLimits = {
  headersTimeoutMs: HEADERS_TIMEOUT_MS,
  bodyInactivityTimeoutMs: BODY_IDLE_TIMEOUT_MS,
  maxAttempts: 5,
  backOffBaseMs: 200,
  backOffCapMs: 10_000,
  retryAfterCapMs: 10_000,
  maxRedirects: 5,
  // The download of a layer continues as long as any byte arrives.
  minProgressBytes: 1,
  // To continue at a server without range support, a download may skip any number of bytes.
  maxSkippedBytes: MAX_BLOB_BYTES,
}
