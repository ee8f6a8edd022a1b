/**
 * The warm-up of a new daemon: a rehearsal of pulls and starts, before any caller is let in. It is
 * skipped when there are snapshots or trees, because their containers are waiting. If it fails,
 * only the first image starts more slowly. It is excluded from statistics, and logs only errors.
 */
import type { Logger } from 'pino'
import type { ContentStore, TreeRegistry } from '../../../fusefs/index.js'
import type { Config } from '../../config/index.js'
import type { StoreSources } from '../../stores/store-sources.js'
import { clearRehearsals, rehearse } from '../rehearsal/rehearse.js'
import type { SnapshotStore } from '../snapshots/snapshot-store.js'

export interface WarmUpModules {
  readonly config: Pick<Config, 'state'>
  readonly store: SnapshotStore
  readonly registry: Pick<TreeRegistry, 'list'>
  readonly content: Pick<ContentStore, 'remove' | 'stats'>
  readonly sources: Pick<StoreSources, 'admit'>
  readonly log: Logger
  /** The log of the parts that log every start. During the warm-up, it takes only errors. */
  readonly startLog: Logger
}

/** The first round compiles most code. Further rounds let V8 optimise it. */
const ROUNDS = 3

/** Never rejects. */
export async function warmUp(modules: WarmUpModules): Promise<void> {
  const { config, store, registry, content, sources, log, startLog } = modules
  if (store.refusal !== undefined) return
  const { state } = config
  const before = { ...content.stats }
  const { level } = startLog
  startLog.level = 'error'
  try {
    await clearRehearsals({ state }, { store })
    if (store.list([]).length > 0 || registry.list().length > 0) return
    await rehearse(
      { state, rounds: ROUNDS },
      {
        store,
        log: log.child({ part: 'rehearsal' }, { level: 'error' }),
        admit: (prefix) => sources.admit(prefix),
        forget: (pack) => {
          content.remove(pack)
        },
      },
    )
  } catch (error) {
    log.warn({ err: error }, 'the rehearsal failed: the first image will start slower')
    await clearRehearsals({ state }, { store }).catch((reason: unknown) => {
      log.warn({ err: reason }, 'the rehearsal left something behind')
    })
  } finally {
    startLog.level = level
  }
  // Only the warm-up has counted: there are no snapshots or trees, and containerd cannot connect.
  Object.assign(content.stats, before)
}
