/** Turns the configuration into the options of the stores and of the content store. */
import { readFile } from 'node:fs/promises'
import type { ContentStoreOptions } from '../../../fusefs/index.js'
import type { Config } from '../../config/index.js'
import type { StoreSourcesOptions } from '../../stores/store-sources.js'

/** Also reads the files of certificate authorities. Throws the filesystem's errors. */
export async function storeOptions(config: Config): Promise<StoreSourcesOptions> {
  const files = [...config.registries.values()].flatMap(({ ca }) => ca ?? [])
  return {
    allow: config.stores.allow,
    mirrors: config.mirrors,
    registries: config.registries,
    limits: {
      connectionsPerOrigin: config.fetch.connectionsPerOrigin,
      connectTimeoutMs: config.fetch.connectTimeoutMs,
      headersTimeoutMs: config.fetch.answerTimeoutMs,
      bodyInactivityTimeoutMs: config.fetch.stallTimeoutMs,
      rangeDeadlineMs: config.fetch.deadlineMs,
      maxAttempts: config.fetch.attempts,
      retryForMs: config.fetch.retryForMs,
    },
    certificateAuthorities: await Promise.all(files.map((path) => readFile(path, 'utf8'))),
  }
}

export function contentOptions(config: Config): ContentStoreOptions {
  return {
    cacheDir: config.cache.directory,
    maxBytes: config.cache.maxBytes,
    memoryBytes: config.cache.memoryBytes,
    maxConcurrentFetches: config.fetch.concurrency,
    maxConcurrentPrefetches: config.prefetch.concurrency,
    prefetchBytesPerSecond: rateFrom(config.prefetch.bytesPerSecond),
    backgroundBytesPerSecond: rateFrom(config.background.bytesPerSecond),
  }
}

/** In the configuration, a rate of 0 means no limit. */
function rateFrom(bytesPerSecond: number): number {
  return bytesPerSecond === 0 ? Number.MAX_SAFE_INTEGER : bytesPerSecond
}
