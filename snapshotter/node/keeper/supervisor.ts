/**
 * The supervisor runs in the process that systemd or a person starts. It asks the keeper for a
 * daemon, passes on the daemon's output, and starts a daemon again when one dies. When the
 * supervisor ends, the daemon ends and the mounts stay.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotterError } from '../../errors.js'
import { KeeperClient, type KeeperClientOptions } from './keeper-client.js'
import type { KeeperEvent, KeptMount } from './keeper-protocol.js'
import { overlayAbove } from './overlay-above.js'

/** A daemon that served for less time has failed. The pause before the next one doubles. */
const HEALTHY_AFTER_MS = 10_000
const RESTART_PAUSE_MIN_MS = 100
const RESTART_PAUSE_MAX_MS = 10_000
/**
 * The supervisor gives up after this number of failed daemons in a row, if none was ever ready and
 * no container waits for one.
 */
const FAILED_STARTS_MAX = 5

export interface SupervisorOptions extends KeeperClientOptions {
  /** Program and arguments of the daemon. */
  readonly daemonCommand: readonly string[]
  readonly mounts: readonly KeptMount[]
  /** A daemon that ends with this exit status is not started again. */
  readonly refusalStatus: number
  /** A daemon that does not answer the keeper for so long is replaced. 0: never. */
  readonly watchdogMs: number
  /** Whether the keeper has a second process ready that takes over when the daemon dies. */
  readonly standby: boolean
}

export interface SupervisorModules {
  /** Takes the daemon's output. */
  readonly output: (stream: 'stdout' | 'stderr', text: string) => void
  /** Takes one line for the operator when a daemon has died and is started again. */
  readonly warn: (message: string) => void
  /**
   * Called when a daemon is started, when it is ready, and at each sign of life that the keeper
   * passes on.
   */
  readonly onChange?: (change: DaemonChange) => void
  /** Default: the system's monotonic clock. */
  readonly clock?: SupervisorClock
}

export type DaemonChange = 'starting' | 'ready' | 'alive'

export interface SupervisorClock {
  readonly nowMs: () => number
  /** Resolves after `ms`, or when `signal` aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>
}

type Ending =
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopped' }

const SYSTEM_CLOCK: SupervisorClock = {
  nowMs: () => performance.now(),
  pause: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #modules: SupervisorModules
  readonly #clock: SupervisorClock
  /** Aborts when the keeper has ended the daemon in order: there is nothing left to supervise. */
  readonly #released = new AbortController()
  #ended: ((ending: Ending) => void) | undefined
  #readyAtMs: number | undefined
  #wasReady = false

  private constructor(options: SupervisorOptions, modules: SupervisorModules) {
    this.#options = options
    this.#modules = modules
    this.#clock = modules.clock ?? SYSTEM_CLOCK
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
    } catch (error) {
      if (client.hasStartedKeeper && !supervisor.#wasReady) await supervisor.#shutDown(client)
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
      client.close()
    }
  }

  async #superviseWith(client: KeeperClient, signal: AbortSignal): Promise<void> {
    const stopping = AbortSignal.any([signal, this.#released.signal])
    // This is a function, because the compiler would assume that a wait does not change the state.
    const isOver = (): boolean => stopping.aborted
    let failures = 0
    while (!isOver()) {
      const ending = await this.#oneLife(client)
      if (ending.kind === 'stopped' || isOver()) return
      // An older keeper sends `exited` with code 0, not `stopped`, when it has ended the daemon.
      if (ending.kind === 'exited' && ending.code === 0) return
      if (ending.kind === 'failed') throw new SnapshotterError('unavailable', ending.message)
      const servedMs = this.#readyAtMs === undefined ? 0 : this.#clock.nowMs() - this.#readyAtMs
      failures = servedMs >= HEALTHY_AFTER_MS ? 0 : failures + 1
      await this.#requireHope(ending.code, failures)
      const pauseMs =
        failures === 0
          ? 0
          : Math.min(RESTART_PAUSE_MIN_MS * 2 ** (failures - 1), RESTART_PAUSE_MAX_MS)
      const how = ending.signal ?? `status ${String(ending.code)}`
      const when =
        this.#readyAtMs === undefined
          ? 'before it was ready'
          : `after it had served for ${servedMs.toFixed(0)} ms`
      this.#modules.warn(
        `the daemon ended (${how}) ${when}; the mounts wait, starting another in ${String(pauseMs)} ms`,
      )
      await this.#clock.pause(pauseMs, stopping)
    }
  }

  #oneLife(client: KeeperClient): Promise<Ending> {
    this.#readyAtMs = undefined
    const life = new Promise<Ending>((resolve) => {
      this.#ended = resolve
    })
    this.#modules.onChange?.('starting')
    const { daemonCommand, mounts, watchdogMs, standby } = this.#options
    client.start(daemonCommand, mounts, { watchdogMs, standby })
    return life
  }

  /**
   * Throws when another daemon would fail as well and no container waits for it. Containers may
   * wait once a daemon was ready. They do wait if an overlay is mounted over our trees.
   */
  async #requireHope(code: number | null, failures: number): Promise<void> {
    const isRefusal = code === this.#options.refusalStatus
    if (this.#wasReady || (!isRefusal && failures < FAILED_STARTS_MAX)) return
    const mountpoints = this.#options.mounts.map(({ mountpoint }) => mountpoint)
    if ((await overlayAbove(mountpoints)) !== undefined) return
    if (isRefusal) {
      throw new SnapshotterError('invalid-argument', 'the daemon refuses to run; it said why above')
    }
    throw new SnapshotterError(
      'internal',
      `the daemon ended ${String(failures)} times before it was ready`,
    )
  }

  /**
   * Ends the keeper and its mounts after a failed start. The keeper refuses, and stays, if
   * containers use the mounts.
   */
  async #shutDown(client: KeeperClient): Promise<void> {
    const answered = new Promise<void>((resolve) => {
      this.#ended = () => {
        resolve()
      }
    })
    client.shutdown({ force: false })
    await Promise.race([answered, client.closed()])
  }

  #hear(event: KeeperEvent): void {
    switch (event.event) {
      case 'started':
        // An older keeper does not tell when the daemon serves.
        if (event.tellsReady !== true) this.#serves()
        return
      case 'ready':
        this.#wasReady = true
        this.#serves()
        return
      case 'alive':
        this.#modules.onChange?.('alive')
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
        this.#released.abort()
        this.#ended?.({ kind: 'stopped' })
    }
  }

  #serves(): void {
    this.#readyAtMs = this.#clock.nowMs()
    this.#modules.onChange?.('ready')
  }
}

async function keeperLoss(client: KeeperClient): Promise<never> {
  await client.closed()
  throw new SnapshotterError(
    'unavailable',
    'the keeper is gone, and with it every mount: containers that use thin images have lost their files; ' +
      'start again, then start those containers again',
  )
}
