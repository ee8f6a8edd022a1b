/**
 * The supervisor runs in the process that systemd or a person starts. It asks the keeper for a
 * daemon, passes on the daemon's output, and starts a daemon again when one dies. When the
 * supervisor ends, the daemon ends and the mounts stay.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotterError } from '../../errors.js'
import { KeeperClient, type KeeperClientOptions } from './keeper-client.js'
import type { KeeperEvent, KeptMount } from './keeper-protocol.js'

/** A daemon that lived shorter than this has failed to start. The pause before the next doubles. */
const HEALTHY_AFTER_MS = 10_000
const RESTART_PAUSE_MIN_MS = 100
const RESTART_PAUSE_MAX_MS = 10_000
/** After this many failed starts in a row, no further daemon is started. */
const FAILED_STARTS_MAX = 5

export interface SupervisorOptions extends KeeperClientOptions {
  /** Program and arguments of the daemon. */
  readonly daemonCommand: readonly string[]
  readonly mounts: readonly KeptMount[]
  /** A daemon that ends with this exit status is not started again. */
  readonly refusalStatus: number
}

export interface SupervisorModules {
  /** Takes the daemon's output. */
  readonly output: (stream: 'stdout' | 'stderr', text: string) => void
  /** Takes one line for the operator when a daemon has died and is started again. */
  readonly warn: (message: string) => void
}

type Ending =
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopped' }

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #modules: SupervisorModules
  #ended: ((ending: Ending) => void) | undefined

  private constructor(options: SupervisorOptions, modules: SupervisorModules) {
    this.#options = options
    this.#modules = modules
  }

  /**
   * Runs a daemon until `signal` aborts, and starts a new one when it dies. Resolves after an
   * orderly stop. Throws `unavailable` when the keeper cannot be reached, is lost, or reports a
   * failure; `invalid-argument` when a daemon ends with `refusalStatus`; `internal` after 5 failed
   * starts.
   */
  static async run(
    options: SupervisorOptions,
    modules: SupervisorModules,
    signal: AbortSignal,
  ): Promise<void> {
    const supervisor = new Supervisor(options, modules)
    const client = await KeeperClient.connect(options, (event) => {
      supervisor.#hear(event)
    })
    const stop = (): void => {
      client.stop()
    }
    signal.addEventListener('abort', stop, { once: true })
    try {
      await Promise.race([supervisor.#superviseWith(client, signal), keeperLoss(client)])
    } finally {
      signal.removeEventListener('abort', stop)
      client.close()
    }
  }

  async #superviseWith(client: KeeperClient, signal: AbortSignal): Promise<void> {
    // A function, because TypeScript assumes that `signal.aborted` does not change during an await.
    const stopping = (): boolean => signal.aborted
    let failedStarts = 0
    for (;;) {
      const startedAtMs = performance.now()
      const ending = await this.#oneLife(client)
      if (ending.kind === 'stopped' || stopping()) return
      // The daemon ended in order, but not on our request: the keeper is being shut down.
      if (ending.kind === 'exited' && ending.code === 0) return
      if (ending.kind === 'failed') throw new SnapshotterError('unavailable', ending.message)
      if (ending.code === this.#options.refusalStatus) {
        throw new SnapshotterError(
          'invalid-argument',
          'the daemon refuses to run; it said why above',
        )
      }
      const livedMs = performance.now() - startedAtMs
      failedStarts = livedMs < HEALTHY_AFTER_MS ? failedStarts + 1 : 0
      if (failedStarts >= FAILED_STARTS_MAX) {
        throw new SnapshotterError(
          'internal',
          `the daemon ended ${String(failedStarts)} times within ${String(HEALTHY_AFTER_MS)} ms of its start`,
        )
      }
      const pauseMs = Math.min(RESTART_PAUSE_MIN_MS * 2 ** failedStarts, RESTART_PAUSE_MAX_MS)
      this.#modules.warn(
        `the daemon ended (${ending.signal ?? `status ${String(ending.code)}`}) after ${livedMs.toFixed(0)} ms; ` +
          `the mounts wait, starting another in ${String(pauseMs)} ms`,
      )
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
      if (stopping()) return
    }
  }

  #oneLife(client: KeeperClient): Promise<Ending> {
    const life = new Promise<Ending>((resolve) => {
      this.#ended = resolve
    })
    client.start(this.#options.daemonCommand, this.#options.mounts)
    return life
  }

  #hear(event: KeeperEvent): void {
    switch (event.event) {
      case 'started':
        return
      case 'output':
        this.#modules.output(event.stream, event.text)
        return
      case 'exited':
        this.#ended?.({ kind: 'exited', code: event.code, signal: event.signal })
        return
      case 'failed':
        this.#ended?.({ kind: 'failed', message: event.message })
        return
      case 'stopped':
      case 'done':
        this.#ended?.({ kind: 'stopped' })
    }
  }
}

async function keeperLoss(client: KeeperClient): Promise<never> {
  await client.closed()
  throw new SnapshotterError(
    'unavailable',
    'the keeper is gone, and with it every mount: stop the containers that use thin images, then start again',
  )
}
