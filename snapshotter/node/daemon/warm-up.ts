/**
 * The warm-up of a new daemon: a rehearsal of pulls and starts, before any caller is let in. It is
 * skipped when snapshots exist, because their containers are waiting. If it fails, only the first
 * image starts more slowly. It is excluded from statistics and logs.
 */
import type { Logger } from 'pino'
import { type ContentStore, createContentStats } from '../../../fusefs/index.js'
import type { Config } from '../../config/index.js'
import { rehearse } from '../rehearsal/rehearse.js'
import type { SnapshotStore } from '../snapshots/snapshot-store.js'

export interface WarmUpModules {
  readonly config: Config
  readonly store: SnapshotStore
  readonly content: ContentStore
  readonly log: Logger
}

/** The first round compiles most code. Further rounds let V8 optimise it. */
const ROUNDS = 3

/** Never rejects. */
export async function warmUp({ config, store, content, log }: WarmUpModules): Promise<void> {
  if (store.refusal !== undefined || store.list([]).length > 0) return
  const { level } = log
  log.level = 'error'
  try {
    await rehearse(
      { state: config.state, rounds: ROUNDS },
      {
        ...{ store, log },
        forget: (pack) => {
          content.remove(pack)
        },
      },
    )
  } catch (error) {
    log.level = level
    log.warn({ err: error }, 'the rehearsal failed: the first image will start slower')
  } finally {
    log.level = level
  }
  Object.assign(content.stats, createContentStats())
}
