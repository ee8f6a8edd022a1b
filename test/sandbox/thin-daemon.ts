/** Runs our own daemon the way an operator does: `thin-snapshotterd --config FILE`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ProgramOptions, type ProgramResult, runProgram, tryProgram } from './program.js'
import { processesUsing } from './processes.js'
import { Service } from './service.js'

const cli = fileURLToPath(new URL('../../snapshotter/cli/', import.meta.url))

/** Registries and stores of tests are on this machine. */
const LOCAL_STORES = [
  '[stores]',
  'allow = ["oci+http://127.0.0.1:*/", "http://127.0.0.1:*/", "file:///"]',
]

/** The command that runs our `thinctl` with these arguments. */
export function thinctlCommand(args: readonly string[]): string[] {
  return [process.execPath, join(cli, 'thinctl.js'), ...args]
}

/** The command that runs our `thin-snapshotterd` with these arguments. */
export function daemonCommand(args: readonly string[]): string[] {
  return [process.execPath, join(cli, 'thin-snapshotterd.js'), ...args]
}

/** Runs our `thinctl`. If it fails, throws an error with its output. */
export async function thinctl(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return runProgram(thinctlCommand(args), options)
}

export class ThinDaemon {
  readonly directory: string
  /** The unix socket that containerd's proxy plugin connects to. */
  readonly socket: string
  /** Path of the daemon's TOML configuration. */
  readonly config: string
  #service: Service | undefined

  /**
   * Starts a daemon with all its files in `directory`. `config` lines are appended to its
   * configuration file. Without a table \`[stores]\` in them, it reads from stores on this machine.
   * The caller closes it.
   */
  static async start(directory: string, config: readonly string[] = []): Promise<ThinDaemon> {
    mkdirSync(directory, { recursive: true })
    const daemon = new ThinDaemon(directory)
    writeFileSync(
      daemon.config,
      [
        `root = ${JSON.stringify(join(directory, 'root'))}`,
        `state = ${JSON.stringify(join(directory, 'state'))}`,
        `address = ${JSON.stringify(daemon.socket)}`,
        `admin_address = ${JSON.stringify(join(directory, 'admin.sock'))}`,
        ...config,
        ...(config.includes('[stores]') ? [] : LOCAL_STORES),
        '',
      ].join('\n'),
    )
    await daemon.startProgram()
    return daemon
  }

  private constructor(directory: string) {
    this.directory = directory
    this.socket = join(directory, 'thin.sock')
    this.config = join(directory, 'config.toml')
  }

  get pid(): number {
    return this.#service?.pid ?? -1
  }

  log(): string {
    return this.#service?.log() ?? ''
  }

  /** Whether the program runs that was started last: the front, not the daemon behind it. */
  get running(): boolean {
    return this.#service?.running ?? false
  }

  /** The exit status of the program that was started last, once it has ended; null before. */
  get exitCode(): number | null {
    return this.#service?.exitCode ?? null
  }

  /** Whether containerd could connect now. */
  async answers(): Promise<boolean> {
    return answers(this.socket)
  }

  /**
   * Starts the daemon's program on the existing directory; for use after `stopProgram`. `config` is
   * another way to write the path of the configuration, `env` is added to the environment.
   */
  async startProgram(
    options: { config?: string; env?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    this.#service = await Service.start({
      command: daemonCommand(['--config', options.config ?? this.config]),
      ...(options.env !== undefined && { env: options.env }),
      logFile: join(this.directory, 'thin-snapshotterd.log'),
      ready: () => answers(this.socket),
    })
  }

  /** Stops the program with SIGTERM. The mounts stay, and containers on them keep running. */
  async stopProgram(): Promise<void> {
    await this.#service?.stop()
  }

  /** Stops the program, and then what outlives it: the keeper and the mounts. Idempotent. */
  async close(): Promise<void> {
    if (this.#service === undefined) return
    await this.stopProgram()
    this.#service = undefined
    const command = thinctlCommand(['shutdown', '--force', '--config', this.config])
    const { exitCode, stderr } = await tryProgram(command, { timeoutMs: 30_000 })
    const left = await this.#leftAfter(10_000)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    if (exitCode !== 0) throw new Error(`thinctl shutdown: ${stderr}`)
    if (left.length > 0) throw new Error(`thinctl shutdown left processes: ${left.join(', ')}`)
  }

  /**
   * Waits at most `graceMs` until no process uses our directory. Returns the PIDs that are left.
   */
  async #leftAfter(graceMs: number): Promise<number[]> {
    const deadlineMs = performance.now() + graceMs
    for (;;) {
      const left = processesUsing(this.directory)
      if (left.length === 0 || performance.now() > deadlineMs) return left
      await sleep(50)
    }
  }
}

/** Whether a server accepts connections on a unix socket. */
async function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket)
    connection.once('error', () => {
      resolve(false)
    })
    connection.once('connect', () => {
      connection.destroy()
      resolve(true)
    })
  })
}
