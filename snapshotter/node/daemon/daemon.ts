/**
 * The whole of a running node: opens the parts in the order in which they lean on each other, and
 * closes them in the opposite one. The FUSE mounts belong to the keeper and stay.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import {
  ContentStore,
  createContentStats,
  type NegotiatedInit,
  ThreadFrameDecoder,
  type TreeClass,
  TreeRegistry,
} from '../../../fusefs/index.js'
import type { Digest } from '../../../index-format/index.js'
import { type AdminAddress, AdminServer } from '../admin/admin-server.js'
import type { Config } from '../../config/index.js'
import { DaemonMetrics } from '../metrics/daemon-metrics.js'
import { rehearse } from '../rehearsal/rehearse.js'
import { SnapshotsServer } from '../service/snapshots-server.js'
import { detectOverlayOptions } from '../snapshots/overlay-options.js'
import { HostDirectories } from '../snapshots/host-directories.js'
import { HostDirectoryLayers } from '../snapshots/host-directory-layers.js'
import { SnapshotStore } from '../snapshots/snapshot-store.js'
import { dockerConfigPath } from '../../images/registry/index.js'
import { BackgroundCompleter } from './background-completer.js'
import { backgroundRoutes } from '../admin/background-routes.js'
import { contentOptions, storeOptions } from './content-options.js'
import { ConfiguredCredentials } from '../../stores/configured-credentials.js'
import { FuseServers, type InheritedFuse } from './fuse-servers.js'
import { IndexCache } from '../../indexes/index-cache.js'
import { LearnedProfiles } from '../starts/learned-profiles.js'
import { NeededLibraries } from '../starts/needed-libraries.js'
import { profileRoutes } from '../admin/profile-routes.js'
import { PartialIndexes } from '../../indexes/partial-indexes.js'
import { SharedProfiles } from '../starts/shared-profiles.js'
import { StartLearner } from '../starts/start-learner.js'
import { StartupPrefetcher } from '../starts/startup-prefetcher.js'
import { StatusReporter } from './status-reporter.js'
import { StoreSources } from '../../stores/store-sources.js'
import { ThinTrees } from './thin-trees.js'
import { TreeContent } from './tree-content.js'
import { UnpublishedStarts } from '../starts/unpublished-starts.js'
import { ReadAhead } from '../starts/read-ahead.js'
import { recordRoutes } from '../admin/record-routes.js'
import { Recorder } from '../starts/recorder.js'
import { mountpointsUnder } from '../mountpoints.js'

export interface DaemonOptions {
  readonly config: Config
  readonly inherited: readonly InheritedFuse[]
  /** Logs every FUSE request at level debug. */
  readonly trace: boolean
}

export interface DaemonModules {
  readonly log: Logger
  /** Keeps the outcome of an INIT with the descriptor. */
  readonly onInit: (treeClass: TreeClass, negotiated: NegotiatedInit) => Promise<void>
}

/** Most of what is compiled once is compiled in the first round; more rounds let V8 optimise. */
const REHEARSALS = 3

/** Something to be closed, in the opposite order of opening. */
type Closer = () => Promise<void> | void

export class Daemon {
  readonly #closers: Closer[] = []
  readonly #log: Logger
  #fuse: FuseServers | undefined
  #threadsEnded = true
  #closing: Promise<boolean> | undefined

  private constructor(log: Logger) {
    this.#log = log
  }

  /**
   * Starts everything; when it resolves, containerd can connect. Throws what the first part that
   * fails throws, with everything before it closed again.
   */
  static async start(options: DaemonOptions, modules: DaemonModules): Promise<Daemon> {
    const daemon = new Daemon(modules.log)
    try {
      await daemon.#open(options, modules)
      return daemon
    } catch (error) {
      await daemon.close()
      throw error
    }
  }

  /** Resolves when a mount went away under the daemon: it cannot serve any more. */
  async failed(): Promise<TreeClass> {
    const lost = await this.#fuse?.lost()
    // The threads also end because they were told to.
    if (lost !== undefined && this.#closing === undefined) return lost
    return new Promise(() => undefined)
  }

  /**
   * Answers what is under way, saves what is cached, and leaves the mounts. False when a dispatcher
   * thread did not end: the process has to be killed. Idempotent.
   */
  close(): Promise<boolean> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<boolean> {
    for (const close of this.#closers.reverse()) {
      try {
        await close()
      } catch (error) {
        this.#log.error({ err: error }, 'a part did not close in order')
      }
    }
    return this.#threadsEnded
  }

  async #open(options: DaemonOptions, modules: DaemonModules): Promise<void> {
    const { config } = options
    const { log } = modules
    await mkdir(config.root, { recursive: true, mode: 0o700 })

    const treesDir = join(config.root, 'trees')
    const registry = TreeRegistry.open({ dir: treesDir })
    this.#closers.push(() => {
      registry.close()
    })
    const { sources, content } = await this.#openContent(config, { log })
    const indexes = new IndexCache((digest) => registry.indexPath(digest))
    const partialIndexes = this.#openPartialIndexes({ registry, indexes, sources, log })
    const libraries = new NeededLibraries({}, { registry, content, sources, log })
    this.#closers.push(() => libraries.close())
    const fuse = await this.#startFuse(options, modules, {
      ...{ treesDir, content, sources, registry, partialIndexes, libraries },
    })
    const mountpoints = mountpointsUnder(config.root)
    const readAhead = new ReadAhead({ sizeKib: config.fuse.readAheadKib, mountpoints }, { log })
    const startup = new StartupPrefetcher(
      { mountpoints },
      { content, sources, registry, partialIndexes, fuse, readAhead, log },
    )
    this.#closers.push(() => startup.close())
    const profiles = await LearnedProfiles.open({ folder: join(config.root, 'profiles') }, { log })
    const unpublished = this.#unpublished(config, { profiles, startup, fuse, sources, log })
    const background = this.#startCompleter(config, {
      ...{ content, sources, registry, partialIndexes, startup, log },
    })
    const trees = new ThinTrees(
      { mountpoints },
      {
        ...{ registry, indexes, partialIndexes, sources },
        hostDirectories: new HostDirectoryLayers(
          await HostDirectories.open(join(config.root, 'host')),
        ),
        content,
        startup,
        unpublished,
        prepare: (treeClass) => fuse.prepare(treeClass),
        // The kernel keeps the list of trees; containerd waits for the answer to its Commit.
        onAdded: () => setImmediate(() => void fuse.treesChanged([])),
        onRemoved: (slots) => {
          background.cancel(slots)
          libraries.cancel(slots)
          void fuse.treesChanged(slots)
        },
      },
    )
    const store = await SnapshotStore.open(
      { root: config.root, overlayOptions: await detectOverlayOptions() },
      { log, thinLayers: trees },
    )
    this.#closers.push(() => store.close())
    await this.#rehearse(config, { store, content, sources, log })
    const onRecord = (slot: number): void => {
      unpublished.drop(slot)
    }
    const recorder = new Recorder({ registry, partialIndexes, fuse, readAhead, onRecord })
    this.#closers.push(() => recorder.close())
    const reporter = new StatusReporter(config, {
      store,
      registry,
      content,
      fuse,
      trees,
      background,
    })
    await this.#serve(config, { store, reporter, recorder, profiles, background, log })
  }

  /** Where content comes from and where it is kept. */
  async #openContent(
    config: Config,
    { log }: { log: Logger },
  ): Promise<{ sources: StoreSources; content: ContentStore }> {
    const stats = createContentStats()
    const sources = StoreSources.create(await storeOptions(config), {
      credentials: new ConfiguredCredentials({
        registries: config.registries,
        dockerConfig: config.dockerConfig ?? dockerConfigPath(process.env),
      }),
      log,
      stats,
    })
    this.#closers.push(() => sources.close())
    const decoder = ThreadFrameDecoder.start({ threads: config.fetch.decoders }, { log })
    this.#closers.push(() => decoder.close())
    const content = await ContentStore.open(contentOptions(config), { log, stats, decoder })
    this.#closers.push(() => content.close())
    return { sources, content }
  }

  /** FUSE is served before there are snapshots, and told when an index is whole. */
  #openPartialIndexes(
    modules: Omit<ConstructorParameters<typeof PartialIndexes>[0], 'onChanged'>,
  ): PartialIndexes {
    const partialIndexes = new PartialIndexes({
      ...modules,
      onChanged: async (removedSlots) => this.#fuse?.treesChanged(removedSlots),
    })
    this.#closers.push(() => partialIndexes.close())
    return partialIndexes
  }

  /** Closed before FUSE is stopped: what was learned is kept. */
  #unpublished(
    config: Config,
    parts: {
      profiles: LearnedProfiles
      startup: StartupPrefetcher
      fuse: FuseServers
      sources: StoreSources
      log: Logger
    },
  ): UnpublishedStarts {
    const { profiles, startup, fuse, sources, log } = parts
    const { learn, learnPeriodMs, shared } = config.profile
    const learner = new StartLearner(
      { periodMs: learnPeriodMs },
      {
        serverOf: (treeClass) => fuse.server(treeClass),
        onLearned: (profile) => {
          const sizeBytes = profile.ranges.reduce((sum, range) => sum + range.length, 0)
          log.info({ index: profile.index, sizeBytes }, 'learned how an image starts')
          void profiles.put(profile)
        },
      },
    )
    const unpublished = new UnpublishedStarts({
      ...{ profiles, startup, log },
      learner: learn ? learner : undefined,
      finder: shared ? new SharedProfiles({ sources, log }) : undefined,
    })
    this.#closers.push(async () => {
      unpublished.close()
      await profiles.settled()
    })
    return unpublished
  }

  /**
   * Neither counted nor told: nobody asked for it. Not where a node has snapshots, whose containers wait
   * for the doors to open; and where it fails, the first image starts slower, no more.
   */
  async #rehearse(
    config: Config,
    parts: { store: SnapshotStore; content: ContentStore; sources: StoreSources; log: Logger },
  ): Promise<void> {
    const { store, content, sources, log } = parts
    if (store.list([]).length > 0) return
    const { level } = log
    const forget = (pack: Digest): void => {
      content.remove(pack)
    }
    log.level = 'error'
    try {
      const admit = (prefix: string): (() => void) => sources.admit(prefix)
      await rehearse({ state: config.state, rounds: REHEARSALS }, { store, log, forget, admit })
    } catch (error) {
      log.level = level
      log.warn({ err: error }, 'the rehearsal failed: the first image will start slower')
    } finally {
      log.level = level
    }
    Object.assign(content.stats, createContentStats())
  }

  #startCompleter(
    config: Config,
    parts: {
      content: ContentStore
      sources: StoreSources
      registry: TreeRegistry
      partialIndexes: PartialIndexes
      startup: StartupPrefetcher
      log: Logger
    },
  ): BackgroundCompleter {
    const { startup, ...modules } = parts
    const { complete, quietMs } = config.background
    const completer = BackgroundCompleter.start(
      { complete, quietMs, maxBytes: config.cache.maxBytes },
      { ...modules, isStarting: () => startup.isBusy },
    )
    this.#closers.push(() => completer.close())
    return completer
  }

  async #startFuse(
    options: DaemonOptions,
    modules: DaemonModules,
    parts: {
      treesDir: string
      content: ContentStore
      sources: StoreSources
      registry: TreeRegistry
      partialIndexes: PartialIndexes
      libraries: NeededLibraries
    },
  ): Promise<FuseServers> {
    const { config, inherited, trace } = options
    const { content: store, sources, registry, partialIndexes, libraries } = parts
    const fuse = await FuseServers.start(
      {
        inherited,
        mountpoints: mountpointsUnder(config.root),
        treesDir: parts.treesDir,
        dispatchers: config.fuse.dispatchers,
        readAheadKib: config.fuse.readAheadKib,
        trace,
      },
      {
        content: new TreeContent({ store, sources }),
        completeIndex: async (slot, signal) => {
          const digest = registry.bySlot(slot)?.indexDigest
          if (digest !== undefined) await partialIndexes.complete(digest, signal)
        },
        onHead: (file, head) => {
          if (config.prefetch.libraries) libraries.onHead(file, head)
        },
        log: modules.log,
        onInit: modules.onInit,
      },
    )
    this.#fuse = fuse
    this.#closers.push(async () => {
      this.#threadsEnded = await fuse.stop()
    })
    return fuse
  }

  /** The doors are opened last: whoever comes in finds everything there. */
  async #serve(
    config: Config,
    parts: {
      store: SnapshotStore
      reporter: StatusReporter
      recorder: Recorder
      profiles: LearnedProfiles
      background: BackgroundCompleter
      log: Logger
    },
  ): Promise<void> {
    const { store, reporter, recorder, profiles, background, log } = parts
    const metrics = new DaemonMetrics(reporter.metricSources())
    const metricsRoute = async (): Promise<{ contentType: string; body: string }> => {
      return { contentType: metrics.registry.contentType, body: await metrics.text() }
    }
    const status = async (): Promise<{ contentType: string; body: string }> => {
      return { contentType: 'application/json', body: JSON.stringify(await reporter.status()) }
    }
    const admin: AdminAddress = { kind: 'unix', path: config.adminAddress }
    await this.#listen(admin, {
      'GET /v1/status': status,
      'GET /metrics': metricsRoute,
      ...recordRoutes(recorder),
      ...profileRoutes(profiles),
      ...backgroundRoutes(background),
    })
    if (config.metricsAddress !== undefined) {
      await this.#listen(
        { kind: 'tcp', ...config.metricsAddress },
        { 'GET /metrics': metricsRoute },
      )
    }
    const server = await SnapshotsServer.start(
      { address: config.address },
      {
        store,
        log,
        onCall: (call) => {
          metrics.observeCall(call)
        },
      },
    )
    this.#closers.push(() => server.close())
    log.info({ address: config.address, root: config.root }, 'ready for containerd')
  }

  async #listen(
    address: AdminAddress,
    routes: Parameters<typeof AdminServer.listen>[1],
  ): Promise<void> {
    const server = await AdminServer.listen(address, routes)
    this.#closers.push(() => server.close())
  }
}
