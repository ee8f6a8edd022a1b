/** The parts of a daemon, in the order in which they are opened. They are closed in reverse. */
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
import type { Config } from '../../config/index.js'
import { dockerConfigPath } from '../../images/registry/index.js'
import { IndexBudget } from '../../indexes/index-budget.js'
import { IndexCache } from '../../indexes/index-cache.js'
import { PartialIndexes } from '../../indexes/partial-indexes.js'
import { ConfiguredCredentials } from '../../stores/configured-credentials.js'
import { StoreSources } from '../../stores/store-sources.js'
import { type AdminAddress, type AdminRoutes, AdminServer } from '../admin/admin-server.js'
import { backgroundRoutes } from '../admin/background-routes.js'
import { profileRoutes } from '../admin/profile-routes.js'
import { recordRoutes } from '../admin/record-routes.js'
import { statusRoutes } from '../admin/status-routes.js'
import { FuseServers, type InheritedFuse } from '../fuse-servers.js'
import { DaemonMetrics } from '../metrics/daemon-metrics.js'
import { mountpointsUnder } from '../mountpoints.js'
import { openRootDirectory, tightenedText } from '../root-directory.js'
import { SnapshotsServer } from '../service/snapshots-server.js'
import { AllowedDirectories } from '../snapshots/allowed-directories.js'
import { HostDirectories } from '../snapshots/host-directories.js'
import { HostDirectoryLayers } from '../snapshots/host-directory-layers.js'
import { detectOverlayOptions } from '../snapshots/overlay-options.js'
import { SnapshotStore } from '../snapshots/snapshot-store.js'
import { LayerGuesses } from '../starts/layer-guesses.js'
import { LearnedProfiles } from '../starts/learned-profiles.js'
import { NeededLibraries } from '../starts/needed-libraries.js'
import { ReadAhead } from '../starts/read-ahead.js'
import { Recorder } from '../starts/recorder.js'
import { SharedProfiles } from '../starts/shared-profiles.js'
import { StartLearner } from '../starts/start-learner.js'
import { StartPrefetcher } from '../starts/start-prefetcher.js'
import { Starts } from '../starts/starts.js'
import { TreeChanges } from '../tree-changes.js'
import { BackgroundCompleter } from './background-completer.js'
import { contentOptions, storeOptions } from './content-options.js'
import { lostContainers } from './lost-containers.js'
import { PartTable } from './part-table.js'
import { StatusReporter } from './status-reporter.js'
import { ThinTrees } from './thin-trees.js'
import { TreeContent } from './tree-content.js'
import { warmUp } from './warm-up.js'

/** What the table below is opened with. */
export interface DaemonBase {
  readonly config: Config
  readonly inherited: readonly InheritedFuse[]
  /** Logs every FUSE request at level debug. */
  readonly trace: boolean
  readonly log: Logger
  /** Keeps the outcome of an INIT with the descriptor. */
  readonly onInit: (treeClass: TreeClass, negotiated: NegotiatedInit) => Promise<void>
}

/** Trees: their registry, and the indexes and content that they are served from. */
const TREE_PARTS = PartTable.over<DaemonBase>()
  .row('root', async ({ config, log }) => {
    const openMode = await openRootDirectory(config.root)
    if (openMode !== undefined) log.warn(tightenedText(config.root, openMode))
    return { treesDir: join(config.root, 'trees'), mountpoints: mountpointsUnder(config.root) }
  })
  .row('tree changes', () => ({ changes: new TreeChanges() }))
  .row(
    'tree registry',
    ({ treesDir }) => ({ registry: TreeRegistry.open({ dir: treesDir }) }),
    ({ registry }) => {
      registry.close()
    },
  )
  .row('content counters', () => ({ stats: createContentStats() }))
  .row(
    'stores',
    async ({ config, log, stats }) => {
      const credentials = new ConfiguredCredentials({
        registries: config.registries,
        dockerConfig: config.dockerConfig ?? dockerConfigPath(process.env),
      })
      return {
        sources: StoreSources.create(await storeOptions(config), { credentials, log, stats }),
      }
    },
    ({ sources }) => sources.close(),
  )
  .row(
    'decoder threads',
    ({ config, log }) => ({
      decoder: ThreadFrameDecoder.start({ threads: config.fetch.decoders }, { log }),
    }),
    ({ decoder }) => decoder.close(),
  )
  .row(
    'content store',
    async ({ config, log, stats, decoder }) => ({
      content: await ContentStore.open(contentOptions(config), { log, stats, decoder }),
    }),
    ({ content }) => content.close(),
  )
  .row('index cache', ({ config, content, registry, treesDir }) => {
    const folders = ['sha256', 'partial'].map((name) => join(treesDir, 'indexes', name))
    const onUsage = (usageBytes: number): void => {
      content.setOutsideBytes(usageBytes)
    }
    const budget = new IndexBudget({ folders, maxBytes: config.cache.maxBytes }, { onUsage })
    budget.refresh()
    const admit: IndexBudget['admit'] = (ref) => {
      budget.admit(ref)
    }
    const indexes = new IndexCache((digest) => registry.indexPath(digest), { admit })
    return { indexes, budget }
  })
  .row(
    'partial indexes',
    ({ changes, indexes, log, registry, sources }) => {
      const onChanged = (removedSlots: readonly number[]): Promise<void> =>
        changes.announce({ removedSlots })
      return {
        partialIndexes: new PartialIndexes({ registry, indexes, sources, onChanged, log }),
      }
    },
    ({ partialIndexes }) => partialIndexes.close(),
  )

/** FUSE, and everything that makes starts fast. */
const START_PARTS = TREE_PARTS.row(
  'needed libraries',
  ({ changes, content, log, registry, sources }) => {
    const libraries = new NeededLibraries({}, { registry, content, sources, log })
    changes.listen(({ removedSlots }) => {
      libraries.cancel(removedSlots)
    })
    return { libraries }
  },
  ({ libraries }) => libraries.close(),
)
  .row('FUSE', startFuse, ({ fuse }) => fuse.stop())
  .row('read-ahead', ({ config, log, mountpoints }) => ({
    readAhead: new ReadAhead({ sizeKib: config.fuse.readAheadKib, mountpoints }, { log }),
  }))
  // The parts that log every start have a log of their own, because the warm-up mutes it.
  .row('log of starts', ({ log }) => ({ startLog: log.child({}) }))
  .row(
    'start prefetcher',
    ({ content, fuse, startLog: log, mountpoints, registry, sources }) => ({
      prefetcher: new StartPrefetcher({ mountpoints }, { content, sources, registry, fuse, log }),
    }),
    ({ prefetcher }) => prefetcher.close(),
  )
  .row('learned profiles', async ({ config, log }) => ({
    profiles: await LearnedProfiles.open({ folder: join(config.root, 'profiles') }, { log }),
  }))
  // Closed before FUSE is stopped, so that profiles learned up to now are kept.
  .row('starts', openStarts, ({ starts }) => starts.close())
  .row(
    'background completer',
    ({ changes, config, content, log, partialIndexes, prefetcher, registry, sources }) => {
      const { complete, quietMs } = config.background
      const isStarting = (): boolean => prefetcher.isBusy
      const background = BackgroundCompleter.start(
        { complete, quietMs, maxBytes: config.cache.maxBytes },
        { content, sources, registry, partialIndexes, isStarting, log },
      )
      changes.listen(({ removedSlots }) => {
        background.cancel(removedSlots)
      })
      return { background }
    },
    ({ background }) => background.close(),
  )

/** Snapshots and the doors. The doors are opened last: a caller finds every part behind them. */
export const DAEMON_PARTS = START_PARTS.row('thin trees', async (parts) => {
  const { budget, changes, config, content, fuse, indexes, mountpoints } = parts
  const { partialIndexes, registry, sources, starts } = parts
  const allowed = new AllowedDirectories(config.allowedHostDirectories)
  const hostDirectories = await HostDirectories.open(join(config.root, 'host'), { allowed })
  return {
    trees: new ThinTrees(
      { mountpoints },
      {
        ...{ registry, indexes, partialIndexes, sources, content, starts, changes },
        hostDirectories: new HostDirectoryLayers(hostDirectories),
        onIndexesDeleted: () => {
          budget.refresh()
        },
        prepareMount: (treeClass) => fuse.prepare(treeClass),
      },
    ),
  }
})
  .row(
    'snapshot store',
    async ({ config, log, trees }) => ({
      store: await SnapshotStore.openOrRefuse(
        { root: config.root, overlayOptions: await detectOverlayOptions() },
        { log, thinLayers: trees },
      ),
    }),
    ({ store }) => store.close(),
  )
  .row('lost containers', async ({ inherited, log, store, trees }) => {
    const lost = await lostContainers({
      inherited,
      snapshots: store.refusal === undefined ? store.list([]) : [],
      fsOf: (id) => store.fsOf(id),
      classesOf: (layer) => trees.classesOf(layer),
    })
    if (lost.length > 0) {
      log.error(
        { count: lost.length, containers: lost.slice(0, MAX_LOGGED_CONTAINERS) },
        'the keeper had died, and with it the files of these containers: start them again',
      )
    }
    return {}
  })
  .row('warm-up', async (parts) => {
    await warmUp(parts)
    return {}
  })
  .row(
    'recorder',
    ({ fuse, partialIndexes, readAhead, registry, starts }) => {
      const onRecord = (slot: number): void => {
        starts.recorded(slot)
      }
      return { recorder: new Recorder({ registry, partialIndexes, fuse, readAhead, onRecord }) }
    },
    ({ recorder }) => recorder.close(),
  )
  .row('status and metrics', ({ background, config, content, fuse, registry, store, trees }) => {
    const reporter = new StatusReporter(config, {
      ...{ store, registry, content, fuse, trees, background },
    })
    return { reporter, metrics: new DaemonMetrics(reporter.metricSources()) }
  })
  .row('admin servers', listenForAdmin, ({ adminServers }) => closeAll(adminServers))
  .row(
    'snapshots service',
    async ({ config, log, metrics, store }) => {
      const onCall: DaemonMetrics['observeCall'] = (call) => {
        metrics.observeCall(call)
      }
      const { address } = config
      return { service: await SnapshotsServer.start({ address }, { store, log, onCall }) }
    },
    ({ service }) => service.close(),
  )

/** Containers that one line of the log names. A longer line would not be read. */
const MAX_LOGGED_CONTAINERS = 200

type TreeParts = PartsOf<typeof TREE_PARTS>
type PartsOf<Table> = Table extends PartTable<DaemonBase, infer Parts> ? Parts : never

async function startFuse(
  parts: TreeParts & { libraries: NeededLibraries },
): Promise<{ fuse: FuseServers }> {
  const { changes, config, content: store, inherited, libraries, log, mountpoints } = parts
  const { onInit, partialIndexes, registry, sources, trace, treesDir } = parts
  const { dispatchers, readAheadKib } = config.fuse
  const { deadlineMs } = config.fetch
  const fuse = await FuseServers.start(
    { inherited, mountpoints, treesDir, dispatchers, deadlineMs, readAheadKib, trace },
    {
      content: new TreeContent({ store, sources }),
      completeIndex: async (slot, signal) => {
        const digest = registry.bySlot(slot)?.indexDigest
        if (digest !== undefined) await partialIndexes.complete(digest, signal)
      },
      onHead: (file, head) => {
        if (config.prefetch.libraries) libraries.onHead(file, head)
      },
      ...{ log, onInit },
    },
  )
  changes.listen(({ removedSlots }) => fuse.treesChanged(removedSlots))
  return { fuse }
}

function openStarts(
  parts: TreeParts & {
    fuse: FuseServers
    prefetcher: StartPrefetcher
    profiles: LearnedProfiles
    readAhead: ReadAhead
  },
): { starts: Starts } {
  const { config, fuse, log, partialIndexes, prefetcher } = parts
  const { profiles, readAhead, registry, sources } = parts
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
  const starts = new Starts({
    ...{ prefetcher, registry, partialIndexes, readAhead },
    learned: profiles,
    guesses: new LayerGuesses({ log }),
    learner: learn ? learner : undefined,
    shared: shared ? new SharedProfiles({ sources, log }) : undefined,
    prepareMount: (treeClass) => fuse.prepare(treeClass),
  })
  return { starts }
}

async function listenForAdmin(parts: {
  readonly config: Config
  readonly reporter: StatusReporter
  readonly metrics: DaemonMetrics
  readonly recorder: Recorder
  readonly profiles: LearnedProfiles
  readonly background: BackgroundCompleter
}): Promise<{ adminServers: AdminServer[] }> {
  const { config, reporter, metrics, recorder, profiles, background } = parts
  const { status, metrics: metricsRoutes } = statusRoutes({ reporter, metrics })
  const admin: AdminAddress = { kind: 'unix', path: config.adminAddress }
  const routes: AdminRoutes = {
    ...{ ...status, ...metricsRoutes },
    ...recordRoutes(recorder),
    ...profileRoutes(profiles),
    ...backgroundRoutes(background),
  }
  const adminServers = [await AdminServer.listen(admin, routes)]
  try {
    if (config.metricsAddress !== undefined) {
      const address: AdminAddress = { kind: 'tcp', ...config.metricsAddress }
      adminServers.push(await AdminServer.listen(address, metricsRoutes))
    }
    return { adminServers }
  } catch (error) {
    await closeAll(adminServers)
    throw error
  }
}

async function closeAll(servers: readonly AdminServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.close()))
}
