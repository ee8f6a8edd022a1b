/** Stock `ctr`, as far as a recording needs it: pull an image, run one container, end it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { SnapshotterError } from '../../errors.js'

export interface CtrOptions {
  /** containerd's socket; default: that of `ctr`. */
  readonly address: string | undefined
  readonly namespace: string
  readonly snapshotter: string
}

export interface ContainerOptions {
  readonly id: string
  readonly image: string
  /** None: what the image runs. */
  readonly command: readonly string[]
  readonly hostNetwork: boolean
  /** As `ctr run --mount` takes them. */
  readonly mounts: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  /** The container has our terminal, and with it our standard input. */
  readonly terminal: boolean
  /** The container reads our standard input. */
  readonly stdin: boolean
}

/** What `ctr` may say before it is cut, in an error. */
const MAX_SAID_BYTES = 4096

export class Ctr {
  readonly #options: CtrOptions

  constructor(options: CtrOptions) {
    this.#options = options
  }

  async pull(image: string, options: { plainHttp: boolean }, signal: AbortSignal): Promise<void> {
    const plain = options.plainHttp ? ['--plain-http'] : []
    const { snapshotter } = this.#options
    await this.#run(['images', 'pull', '--snapshotter', snapshotter, ...plain, image], signal)
  }

  /** Starts a container in the foreground: the process ends when it does, with its status. */
  start(container: ContainerOptions): ChildProcess {
    const { id, image, command, hostNetwork, mounts, env, terminal, stdin } = container
    const flags = [
      ...(hostNetwork ? ['--net-host'] : []),
      ...(terminal ? ['--tty'] : []),
      ...mounts.flatMap((mount) => ['--mount', mount]),
      ...env.flatMap((pair) => ['--env', pair]),
    ]
    const { snapshotter } = this.#options
    const args = ['run', '--rm', '--snapshotter', snapshotter, ...flags, image, id, ...command]
    return spawn('ctr', [...this.#global(), ...args], {
      stdio: [terminal || stdin ? 'inherit' : 'ignore', terminal ? 'inherit' : 'pipe', 'pipe'],
      // A signal from the terminal is for us; the container gets its own.
      detached: !terminal,
    })
  }

  async kill(id: string, killSignal: 'SIGTERM' | 'SIGKILL', signal: AbortSignal): Promise<void> {
    await this.#run(['task', 'kill', '--signal', killSignal, id], signal).catch(() => undefined)
  }

  /** Whatever is left of a container. Never throws. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    await this.#run(['task', 'rm', '--force', id], signal).catch(() => undefined)
    await this.#run(['containers', 'rm', id], signal).catch(() => undefined)
  }

  async #run(args: readonly string[], signal: AbortSignal): Promise<void> {
    const child = spawn('ctr', [...this.#global(), ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      signal,
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-MAX_SAID_BYTES)
    })
    const what = `ctr ${args.slice(0, 2).join(' ')}`
    try {
      const [status] = (await once(child, 'close')) as [number | null]
      if (status === 0) return
    } catch (cause) {
      throw ctrError(cause, what, signal)
    }
    throw new SnapshotterError('internal', `${what}: ${said.trim()}`)
  }

  #global(): string[] {
    const { address, namespace } = this.#options
    const where = address === undefined ? [] : ['--address', address]
    return [...where, '--namespace', namespace]
  }
}

/** Why `ctr` could not be run to its end. */
export function ctrError(cause: unknown, what: string, signal: AbortSignal): SnapshotterError {
  if (signal.aborted) return new SnapshotterError('cancelled', `${what}: given up`, { cause })
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SnapshotterError('internal', `${what}: ${why}; containerd's ctr must be on PATH`, {
    cause,
  })
}
