/** A program that runs in the background until it is stopped. Its output goes to a log file. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ServiceOptions {
  readonly command: readonly string[]
  /** The program's output is appended to this file. `stop` does not remove it. */
  readonly logFile: string
  readonly env?: Readonly<Record<string, string>>
  /** Returns whether the service answers. Called every 20 ms; an exception means "not yet". */
  readonly ready: () => Promise<boolean>
  /** How long `ready` may take; default 30,000. */
  readonly readyTimeoutMs?: number
}

export class Service {
  readonly #options: ServiceOptions
  readonly #child: ChildProcess

  /**
   * Starts the program and waits until it is ready. If it does not become ready, the error contains
   * the end of its log.
   */
  static async start(options: ServiceOptions): Promise<Service> {
    const [file = '', ...args] = options.command
    const log = openSync(options.logFile, 'a')
    const child = spawn(file, args, {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const service = new Service(options, child)
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject)
    })
    failed.catch(() => undefined)
    try {
      await Promise.race([service.#waitUntilReady(), failed])
    } catch (error) {
      await service.stop()
      throw error
    }
    return service
  }

  private constructor(options: ServiceOptions, child: ChildProcess) {
    this.#options = options
    this.#child = child
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  get running(): boolean {
    return (
      this.#child.pid !== undefined &&
      this.#child.exitCode === null &&
      this.#child.signalCode === null
    )
  }

  /** The exit status of a program that has ended by itself; null otherwise. */
  get exitCode(): number | null {
    return this.#child.exitCode
  }

  /** Everything the program has printed so far. */
  log(): string {
    return readFileSync(this.#options.logFile, 'utf8')
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sends SIGTERM and, after `graceMs`, SIGKILL. Returns when the process is gone. Idempotent. */
  async stop(graceMs = 15_000): Promise<void> {
    if (!this.running) return
    const gone = new Promise<void>((resolve) => {
      this.#child.once('exit', () => {
        resolve()
      })
    })
    this.#child.kill('SIGTERM')
    const hard = setTimeout(() => {
      this.#child.kill('SIGKILL')
    }, graceMs)
    await gone
    clearTimeout(hard)
  }

  async #waitUntilReady(): Promise<void> {
    const { command, ready, readyTimeoutMs = 30_000 } = this.#options
    const deadlineMs = performance.now() + readyTimeoutMs
    for (;;) {
      if (await ready().catch(() => false)) return
      const said = (): string => this.log().slice(-4000)
      if (!this.running)
        throw new Error(`${command.join(' ')} ended before it was ready:\n${said()}`)
      if (performance.now() > deadlineMs) {
        throw new Error(`${command.join(' ')}: not ready after ${readyTimeoutMs} ms:\n${said()}`)
      }
      await sleep(20)
    }
  }
}
