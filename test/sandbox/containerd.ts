/**
 * A private containerd: its own root, state, sockets and configuration in one directory, without
 * the Kubernetes plugin. Containers are started through stock `ctr`.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Mount } from '../../proto/index.js'
import { chainIdOf } from './chain-id.js'
import { processesUsing } from './processes.js'
import { type ProgramOptions, type ProgramResult, runProgram, tryProgram } from './program.js'
import { Service } from './service.js'
import { mountAt } from './snapshot-mounts.js'

export interface ContainerdOptions {
  readonly directory: string
  /** Proxy plugins of type "snapshot": name to unix socket. */
  readonly snapshotters: Readonly<Record<string, string>>
  /**
   * Path of the `containerd` program; default: the one on PATH. `ctr` is run from the same
   * directory. The shim is looked for there first.
   */
  readonly program?: string
}

export interface RunOptions extends ProgramOptions {
  readonly snapshotter: string
  /** Flags of `ctr run`, before the image. */
  readonly flags?: readonly string[]
}

export class Containerd {
  readonly #options: ContainerdOptions
  readonly #env: Readonly<Record<string, string>>
  readonly #socket: string
  #service: Service | undefined

  /** Starts containerd and waits until it answers. The caller closes it. */
  static async start(options: ContainerdOptions): Promise<Containerd> {
    mkdirSync(options.directory, { recursive: true })
    const containerd = new Containerd(options)
    writeFileSync(join(options.directory, 'config.toml'), containerd.#config())
    await containerd.restart()
    return containerd
  }

  private constructor(options: ContainerdOptions) {
    this.#options = options
    this.#socket = join(options.directory, 'containerd.sock')
    const { program } = options
    const path = process.env['PATH'] ?? ''
    this.#env = program === undefined ? {} : { PATH: `${dirname(program)}:${path}` }
  }

  get pid(): number {
    return this.#service?.pid ?? -1
  }

  /** The unix socket that containerd listens on, for clients other than `ctr`. */
  get address(): string {
    return this.#socket
  }

  /** Everything that containerd has printed so far. */
  log(): string {
    return this.#service?.log() ?? ''
  }

  /** Stops containerd if it runs, and starts it on the same state. Containers keep running. */
  async restart(): Promise<void> {
    await this.#service?.stop()
    this.#service = await Service.start({
      command: [
        this.#options.program ?? 'containerd',
        '--config',
        join(this.#options.directory, 'config.toml'),
      ],
      logFile: join(this.#options.directory, 'containerd.log'),
      env: this.#env,
      ready: async () => {
        const { exitCode } = await tryProgram(this.ctrCommand(['version']), this.#limits(5_000))
        return exitCode === 0
      },
    })
  }

  /** The directory of containerd's configuration, its `root` and its `state`. */
  get directory(): string {
    return this.#options.directory
  }

  /** The command that runs stock `ctr` with these arguments against this containerd. */
  ctrCommand(args: readonly string[]): string[] {
    const { program } = this.#options
    const ctr = program === undefined ? 'ctr' : join(dirname(program), 'ctr')
    return [ctr, '--address', this.#socket, ...args]
  }

  /** Runs stock `ctr` against this containerd; throws with its output when it fails. */
  async ctr(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
    return runProgram(this.ctrCommand(args), { ...options, env: { ...this.#env, ...options.env } })
  }

  /** `ctr images pull --plain-http`, unpacked by `snapshotter`. */
  async pull(reference: string, snapshotter: string): Promise<ProgramResult> {
    const flags = ['--plain-http', '--snapshotter', snapshotter]
    return this.ctr(['images', 'pull', ...flags, reference])
  }

  /** `ctr run --rm`: runs a container to its end and returns its output. */
  async run(
    reference: string,
    command: readonly string[],
    options: RunOptions,
  ): Promise<ProgramResult> {
    const { snapshotter, flags = [] } = options
    const id = `run-${randomBytes(6).toString('hex')}`
    return this.ctr(
      ['run', '--rm', '--snapshotter', snapshotter, ...flags, reference, id, ...command],
      options,
    )
  }

  /** `ctr run --detach`: starts a container that runs until `remove`. */
  async start(
    reference: string,
    command: readonly string[],
    options: RunOptions,
  ): Promise<RunningContainer> {
    const { snapshotter, flags = [] } = options
    const id = `bg-${randomBytes(6).toString('hex')}`
    const logFile = join(this.#options.directory, `${id}.log`)
    const run = ['run', '--detach', '--log-uri', `file://${logFile}`]
    await this.ctr(
      [...run, '--snapshotter', snapshotter, ...flags, reference, id, ...command],
      options,
    )
    const tasks = (await this.ctr(['task', 'ls'])).stdout
    const pid = Number(new RegExp(`^${id}\\s+(\\d+)`, 'm').exec(tasks)?.[1])
    if (!Number.isInteger(pid)) throw new Error(`ctr task ls does not show ${id}:\n${tasks}`)
    return { id, pid, logFile }
  }

  /** Runs `command` in a running container. */
  async exec(container: RunningContainer, command: readonly string[]): Promise<ProgramResult> {
    const execId = `exec-${randomBytes(6).toString('hex')}`
    return this.ctr(['task', 'exec', '--exec-id', execId, container.id, ...command])
  }

  /**
   * Sends SIGTERM to a container, waits until it has ended and removes it. Returns false if the
   * container had to be killed after `graceMs`.
   */
  async remove(container: { readonly id: string }, graceMs = 10_000): Promise<boolean> {
    await tryProgram(this.ctrCommand(['task', 'kill', container.id]), this.#limits(10_000))
    const clean = await this.#hasStopped(container.id, graceMs)
    if (!clean) {
      await this.ctr(['task', 'kill', '--signal', 'SIGKILL', container.id])
      await this.#hasStopped(container.id, graceMs)
    }
    await tryProgram(this.ctrCommand(['task', 'rm', container.id]), this.#limits(10_000))
    await this.ctr(['containers', 'rm', container.id])
    return clean
  }

  /**
   * Mounts an image's root filesystem on the directory `target`, read-only unless `writable`. `ctr
   * images mount` is not used, because containerd 1.6 ignores its `--snapshotter` and takes
   * overlayfs.
   */
  async mountImage(
    reference: string,
    target: string,
    snapshotter: string,
    { writable = false }: { readonly writable?: boolean } = {},
  ): Promise<void> {
    mkdirSync(target, { recursive: true })
    const { stdout: table } = await this.ctr(['images', 'ls', `name==${reference}`])
    const digest = /\ssha256:[0-9a-f]{64}\s/.exec(table)?.[0].trim()
    if (digest === undefined) throw new Error(`containerd has no image ${reference}`)
    const chainId = await chainIdOf(digest, async (blob) => {
      return (await this.ctr(['content', 'get', blob])).stdout
    })
    const snapshots = ['snapshots', '--snapshotter', snapshotter]
    for (let attempt = 1; ; attempt++) {
      const kind = writable ? 'prepare' : 'view'
      const view = await this.ctr([...snapshots, kind, '--mounts', target, chainId])
      // The label protects the view from garbage collection. A collection that begins before the
      // label is set removes the view, so try again.
      const label = [...snapshots, 'label', target, `containerd.io/gc.root=${target}`]
      const { exitCode, stderr } = await tryProgram(this.ctrCommand(label), this.#limits(30_000))
      if (exitCode === 0) {
        await mountAt(mountsFromJson(view.stdout), target)
        return
      }
      if (attempt === 5) throw new Error(`cannot keep a view of ${reference}: ${stderr}`)
    }
  }

  /** Undoes `mountImage`. */
  async unmountImage(target: string, snapshotter: string): Promise<void> {
    await runProgram(['umount', target])
    await this.ctr(['snapshots', '--snapshotter', snapshotter, 'rm', target])
  }

  /** Ends every container, containerd and its shims. Idempotent. */
  async close(): Promise<void> {
    if (this.#service === undefined) return
    if (this.#service.running) {
      const listed = await tryProgram(
        this.ctrCommand(['containers', 'ls', '-q']),
        this.#limits(10_000),
      )
      for (const id of listed.stdout.split('\n').filter((line) => line !== '')) {
        const kill = ['task', 'rm', '--force', id]
        await tryProgram(this.ctrCommand(kill), this.#limits(20_000))
      }
    }
    await this.#service.stop()
    this.#service = undefined
    // Shims are designed to outlive containerd, so they are killed here.
    for (const pid of processesUsing(this.#options.directory)) process.kill(pid, 'SIGKILL')
  }

  async #hasStopped(id: string, timeoutMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs
    while (performance.now() < deadlineMs) {
      const { stdout } = await this.ctr(['task', 'ls'])
      const status = new RegExp(`^${id}\\s+\\d+\\s+(\\S+)`, 'm').exec(stdout)?.[1]
      if (status === undefined || status === 'STOPPED') return true
      await sleep(50)
    }
    return false
  }

  #limits(timeoutMs: number): ProgramOptions {
    return { timeoutMs, env: this.#env }
  }

  #config(): string {
    const { directory, snapshotters } = this.#options
    const plugins = Object.entries(snapshotters).flatMap(([name, socket]) => [
      `[proxy_plugins.${name}]`,
      '  type = "snapshot"',
      `  address = ${JSON.stringify(socket)}`,
    ])
    return [
      'version = 2',
      `root = ${JSON.stringify(join(directory, 'root'))}`,
      `state = ${JSON.stringify(join(directory, 'state'))}`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]',
      '[grpc]',
      `  address = ${JSON.stringify(this.#socket)}`,
      '[debug]',
      '  level = "info"',
      ...plugins,
      '',
    ].join('\n')
  }
}

/** Parses the output of `ctr snapshots view --mounts`, whose keys are spelled as in Go. */
function mountsFromJson(text: string): Mount[] {
  const mounts = JSON.parse(text) as { Type: string; Source: string; Options: string[] }[]
  return mounts.map(({ Type, Source, Options }) => {
    return { type: Type, source: Source, target: '', options: Options }
  })
}

/** A container that was started with `Containerd.start`. */
export interface RunningContainer {
  readonly id: string
  /** PID of the container's first process, in this process's PID namespace. */
  readonly pid: number
  /** Receives the container's output. */
  readonly logFile: string
}
