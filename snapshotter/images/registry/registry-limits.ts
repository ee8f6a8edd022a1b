/** Bounds on what a registry, an archive or a folder may make us hold or wait for. */

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
export const HEADERS_TIMEOUT_MS = 60_000
/** Between two pieces of a body. */
export const BODY_IDLE_TIMEOUT_MS = 60_000
/** For a whole exchange whose answer is small. */
export const SMALL_EXCHANGE_TIMEOUT_MS = 120_000
/** For a whole exchange that carries a blob, either way: 64 MiB at 20 KiB/s. */
export const BLOB_EXCHANGE_TIMEOUT_MS = 3_600_000

/** The first try included. */
export const MAX_ATTEMPTS = 5
export const RETRY_BASE_MS = 200
export const RETRY_CAP_MS = 10_000
export const MAX_REDIRECTS = 5
