/**
 * The daemon's metrics for Prometheus. The parts of the daemon count for themselves, and each
 * scrape reads their counters. So every number is kept once, and nothing is added to a hot path.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ContentStats, ServerCounts, TreeClass } from '../../../fusefs/index.js'

export interface MetricSources {
  readonly content: () => Readonly<ContentStats>
  readonly fuse: () => Readonly<Record<TreeClass, ServerCounts>>
  readonly cache: () => {
    readonly usageBytes: number
    readonly maxBytes: number
    readonly packs: number
  }
  /** Number of registered trees. */
  readonly trees: () => number
}

/**
 * Upper bounds in seconds. The range covers a Mounts call that only reads the database and a Commit
 * that fetches an index.
 */
const CALL_BUCKETS_SEC = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]

/** Metric names and help texts of the content tiers' counters. */
const CONTENT_COUNTERS: Readonly<
  Record<keyof ContentStats, readonly [name: string, help: string]>
> = {
  httpRequests: [
    'http_requests',
    'Requests sent to stores over HTTP, redirects and retries included',
  ],
  httpRetries: ['http_retries', 'HTTP requests sent again after a failure'],
  httpRefusals: ['http_refusals', 'HTTP requests not sent because their server was known to fail'],
  httpRedirects: ['http_redirects', 'Redirects followed'],
  httpRangesIgnored: ['http_ranges_ignored', 'Answers 200 to a range request'],
  httpBytes: ['http_received_bytes', 'Body bytes received over HTTP, skipped ones included'],
  rangesFetched: ['ranges_fetched', 'Ranges asked of stores'],
  bytesFetched: ['fetched_bytes', 'Compressed bytes received from stores of any kind'],
  fetchFailures: ['fetch_failures', 'Ranges that failed after all retries'],
  knownFailures: [
    'known_failures',
    'Frames that failed without a request, because the same failure had just happened',
  ],
  failovers: ['failovers', 'Times another store was asked because one failed'],
  framesDecoded: ['frames_decoded', 'Frames decoded and verified'],
  bytesDecoded: ['decoded_bytes', 'Uncompressed bytes of the frames decoded'],
  verifyFailures: ['verify_failures', 'Frames whose bytes were not what their digest says'],
  memoryHits: ['memory_hits', 'Frames that a read found in memory'],
  diskHits: ['disk_hits', 'Frames that a read found on disk, those of dispatcher threads left out'],
  misses: ['misses', 'Frames that a read had to wait for'],
  framesShared: ['frames_shared', 'Frames that were wanted while already on their way'],
  framesCoalesced: ['frames_coalesced', 'Frames that shared a range request with another'],
  framesPrefetched: ['frames_prefetched', 'Frames asked for by prefetch'],
  framesReadAhead: [
    'frames_read_ahead',
    'Frames asked for ahead of somebody who reads in sequence',
  ],
  prefetchPauses: ['prefetch_pauses', 'Times that prefetch let reads go first'],
  framesReverified: ['frames_reverified', 'Frames of an earlier run verified again'],
  evictions: ['cache_evictions', 'Packs evicted from disk'],
  diskFailures: ['disk_failures', 'Reads and writes that the disk refused'],
  readFailures: ['read_failures', 'Reads that ended in an error'],
}

export class DaemonMetrics {
  readonly #registry = new Registry()
  readonly #calls: Histogram<'method' | 'code'>
  #isProcessObserved = false

  /** Makes the metrics. Nothing runs until the first scrape. */
  constructor(sources: MetricSources) {
    this.#addContent(sources)
    this.#addFuse(sources)
    this.#addCache(sources)
    this.#calls = new Histogram({
      name: 'thin_snapshotter_call_duration_seconds',
      help: 'Calls of the snapshots service, by method and gRPC status code',
      labelNames: ['method', 'code'],
      buckets: CALL_BUCKETS_SEC,
      registers: [this.#registry],
    })
  }

  /** The media type of `text()`. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** Counts an answered call of the snapshots service. */
  observeCall(call: { method: string; code: string; durationSec: number }): void {
    this.#calls.observe({ method: call.method, code: call.code }, call.durationSec)
  }

  /**
   * All metrics in the text exposition format. prom-client's process metrics begin with the first
   * scrape, because their event loop monitor wakes the process a hundred times a second. A node
   * that is never scraped does not pay for it.
   */
  async text(): Promise<string> {
    if (!this.#isProcessObserved) {
      this.#isProcessObserved = true
      collectDefaultMetrics({ register: this.#registry, prefix: 'thin_' })
    }
    return this.#registry.metrics()
  }

  #addContent({ content }: MetricSources): void {
    for (const [key, [name, help]] of entriesOf(CONTENT_COUNTERS)) {
      new Counter({
        name: `thin_content_${name}_total`,
        help,
        registers: [this.#registry],
        collect() {
          this.reset()
          this.inc(content()[key])
        },
      })
    }
  }

  #addFuse({ fuse }: MetricSources): void {
    new Counter({
      name: 'thin_fuse_requests_total',
      help: 'Requests of the kernel, by class of superblock and operation',
      labelNames: ['class', 'operation'],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [treeClass, { requests }] of entriesOf(fuse())) {
          for (const [operation, count] of entriesOf(requests)) {
            this.inc({ class: treeClass, operation }, count)
          }
        }
      },
    })
    const counters = [
      ['bytesRead', 'read_bytes', 'Bytes answered to READ'],
      ['bytesStored', 'stored_bytes', 'Bytes put into the page cache before they were read'],
      ['misses', 'misses', 'Reads that had to wait for content'],
      ['errors', 'errors', 'Replies with an errno'],
      ['faults', 'faults', 'Replies with an errno because of an index, a store or a bug'],
      ['refused', 'refused', 'Requests answered EIO because too many waited already'],
    ] as const
    for (const [key, name, help] of counters) {
      new Counter({
        name: `thin_fuse_${name}_total`,
        help,
        labelNames: ['class'],
        registers: [this.#registry],
        collect() {
          this.reset()
          for (const [treeClass, counts] of entriesOf(fuse()))
            this.inc({ class: treeClass }, counts[key])
        },
      })
    }
  }

  #addCache({ cache, trees }: MetricSources): void {
    const gauges: readonly (readonly [string, string, () => number])[] = [
      ['thin_cache_usage_bytes', 'Uncompressed bytes in the local cache', () => cache().usageBytes],
      ['thin_cache_max_bytes', 'Bound of the local cache', () => cache().maxBytes],
      ['thin_cache_packs', 'Packs in the local cache', () => cache().packs],
      ['thin_trees', 'Trees that are registered', trees],
    ]
    for (const [name, help, value] of gauges) {
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.set(value())
        },
      })
    }
  }
}

/** `Object.entries` of a record with known keys. Keeps the type of the keys. */
function entriesOf<K extends string, V>(record: Readonly<Partial<Record<K, V>>>): [K, V][] {
  return Object.entries(record) as [K, V][]
}
