/**
 * Runs stock `ctr`, as far as a recording needs it: pulls an image, runs one container, ends it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { SnapshotterError } from '../../errors.js'

export interface CtrOptions {
  /** Path of containerd's socket. Undefined: the default of `ctr`. */
  readonly address: string | undefined
  readonly namespace: string
  readonly snapshotter: string
}

export interface ContainerOptions {
  readonly id: string
  readonly image: string
  /** Empty: the command of the image. */
  readonly command: readonly string[]
  readonly hostNetwork: boolean
  /** In the form of `ctr run --mount`. */
  readonly mounts: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  /** Whether the container gets our terminal, and with it our standard input. */
  readonly terminal: boolean
  /** Whether the container reads our standard input. */
  readonly stdin: boolean
}

/** The end of ctr's output that is kept for an error message. */
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

  /** Starts a container in the foreground. The process ends with the container, with its status. */
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
      // A signal from our terminal must reach only us, unless the container has the terminal.
      detached: !terminal,
    })
  }

  async kill(id: string, killSignal: 'SIGTERM' | 'SIGKILL', signal: AbortSignal): Promise<void> {
    await this.#run(['task', 'kill', '--signal', killSignal, id], signal).catch(() => undefined)
  }

  /** Removes all that is left of a container. Never throws. */
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

/**
 * The error for a `ctr` that could not run to its end: `cancelled` after `signal`, else `internal`.
 */
export function ctrError(cause: unknown, what: string, signal: AbortSignal): SnapshotterError {
  if (signal.aborted) return new SnapshotterError('cancelled', `${what}: given up`, { cause })
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SnapshotterError('internal', `${what}: ${why}; containerd's ctr must be on PATH`, {
    cause,
  })
}
