/** Collects the state that `thinctl status` and Prometheus show from the parts of the daemon. */
import { join } from 'node:path'
import type { ContentStore, TreeRecord, TreeRegistry } from '../../../fusefs/index.js'
import type { Index } from '../../../index-format/index.js'
import type { Config } from '../../config/index.js'
import type { MetricSources } from '../metrics/daemon-metrics.js'
import type { SnapshotStore } from '../snapshots/snapshot-store.js'
import { VERSION } from '../../version.js'
import type { BackgroundCompleter } from './background-completer.js'
import type { FuseServers } from '../fuse-servers.js'
import { mountpointsUnder } from '../mountpoints.js'
import { openTreeIndex } from '../../indexes/open-tree-index.js'
import type { CacheStatus, DaemonStatus, TreeStatus } from '../admin/daemon-status.js'
import { cachedBytesOf, type ThinTrees } from './thin-trees.js'

export interface StatusReporterModules {
  readonly store: SnapshotStore
  readonly registry: TreeRegistry
  readonly content: ContentStore
  readonly fuse: FuseServers
  readonly trees: ThinTrees
  readonly background: BackgroundCompleter
}

export class StatusReporter {
  readonly #config: Config
  readonly #modules: StatusReporterModules
  /** When this process began to serve. It may have been a standby before. */
  readonly #openedMs = performance.now()

  constructor(config: Config, modules: StatusReporterModules) {
    this.#config = config
    this.#modules = modules
  }

  async status(): Promise<DaemonStatus> {
    const { registry, content, fuse } = this.#modules
    return Promise.resolve({
      version: VERSION,
      pid: process.pid,
      uptimeSec: Math.round((performance.now() - this.#openedMs) / 1000),
      address: this.#config.address,
      root: this.#config.root,
      snapshots: this.#snapshotCounts(),
      trees: registry.list().map((record) => this.#tree(record)),
      cache: this.#cache(),
      background: this.#modules.background.status(),
      content: { ...content.stats },
      fuse: fuse.counts(),
      memoryBytes: process.memoryUsage.rss(),
    })
  }

  metricSources(): MetricSources {
    const { content, fuse, registry } = this.#modules
    return {
      content: () => content.stats,
      fuse: () => fuse.counts(),
      cache: () => this.#cache(),
      trees: () => registry.list().length,
    }
  }

  #cache(): CacheStatus {
    const { content } = this.#modules
    return {
      directory: this.#config.cache.directory,
      usageBytes: content.usageBytes() + content.outsideBytes,
      maxBytes: this.#config.cache.maxBytes,
      packs: content.packs().length,
    }
  }

  #snapshotCounts(): DaemonStatus['snapshots'] {
    const { refusal } = this.#modules.store
    const counts = { committed: 0, active: 0, view: 0, thin: 0 }
    if (refusal !== undefined) return { ...counts, problem: refusal.message }
    for (const snapshot of this.#modules.store.list([])) {
      counts[snapshot.kind]++
      if (snapshot.thin !== undefined) counts.thin++
    }
    return counts
  }

  #tree(record: TreeRecord): TreeStatus {
    const { registry, content, trees } = this.#modules
    const known = {
      slot: record.slot,
      class: record.class,
      path: join(mountpointsUnder(this.#config.root)[record.class], record.name),
      indexDigest: record.indexDigest,
      isIndexPartial: registry.indexFile(record.indexDigest).isPartial,
      stores: record.stores,
      snapshots: trees.usesOf(record.slot),
    }
    let index: Index | undefined
    try {
      index = openTreeIndex(registry, record.indexDigest)
      const { files, sizeBytes } = index.meta
      const packs = index.packs()
      const packBytes = packs.reduce((sum, pack) => sum + pack.rawSizeBytes, 0)
      return { ...known, files, sizeBytes, packBytes, cachedBytes: cachedBytesOf(packs, content) }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return { ...known, files: 0, sizeBytes: 0, packBytes: 0, cachedBytes: 0, error: why }
    } finally {
      index?.close()
    }
  }
}
