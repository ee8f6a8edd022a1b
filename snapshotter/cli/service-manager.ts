/**
 * Tells systemd that the daemon is ready and that the front lives; see sd_notify(3). Node.js has no
 * datagram sockets of the family unix, so systemd's own program systemd-notify(1) sends the
 * messages.
 */
import { spawn } from 'node:child_process'
import type { DaemonChange } from '../node/keeper/supervisor.js'

/**
 * Messages in the time after which systemd restarts the service. systemd advises two. The third
 * makes up for one that a busy machine delays.
 */
const SIGNS_PER_DEADLINE = 3

export interface ServiceManagerModules {
  readonly warn: (message: string) => void
}

export class ServiceManager {
  /** The socket on which systemd takes messages. Undefined if it takes none. */
  readonly #socket: string | undefined
  /** systemd restarts the service after this time without a message. 0: never. */
  readonly #watchdogMs: number
  readonly #modules: ServiceManagerModules
  /**
   * When the keeper last reported that the present daemon answered a ping. Undefined before the
   * first report.
   */
  #lastAliveMs: number | undefined
  #isReady = false
  #hasWarned = false

  private constructor(
    options: { socket: string | undefined; watchdogMs: number },
    modules: ServiceManagerModules,
  ) {
    this.#socket = options.socket
    this.#watchdogMs = options.watchdogMs
    this.#modules = modules
  }

  /** Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC`. Without the former, nothing is ever sent. */
  static fromEnvironment(
    env: Readonly<Record<string, string | undefined>>,
    modules: ServiceManagerModules,
  ): ServiceManager {
    const socket = env['NOTIFY_SOCKET']
    const watchdogMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1000
    return new ServiceManager({ socket, watchdogMs: watchdogMs > 0 ? watchdogMs : 0 }, modules)
  }

  hear(change: DaemonChange): void {
    if (this.#socket === undefined) return
    this.#lastAliveMs = change === 'alive' ? performance.now() : undefined
    if (change !== 'ready' || this.#isReady) return
    this.#isReady = true
    this.#send('READY=1')
    if (this.#watchdogMs > 0) {
      setInterval(() => {
        this.#signOfLife()
      }, this.#watchdogMs / SIGNS_PER_DEADLINE).unref()
    }
  }

  /**
   * Tells systemd that the service lives. After the keeper's first report, the message is sent only
   * while more reports follow. While a daemon is started, or if the keeper has no watchdog, there
   * are no reports, and the message is always sent.
   */
  #signOfLife(): void {
    const silentMs = this.#lastAliveMs === undefined ? 0 : performance.now() - this.#lastAliveMs
    if (silentMs < this.#watchdogMs) this.#send('WATCHDOG=1')
  }

  #send(message: string): void {
    const child = spawn('systemd-notify', [message], { stdio: 'ignore' })
    child.unref()
    child.once('error', (error) => {
      if (this.#hasWarned) return
      this.#hasWarned = true
      this.#modules.warn(`cannot tell systemd ${message}: systemd-notify: ${error.message}`)
    })
  }
}
