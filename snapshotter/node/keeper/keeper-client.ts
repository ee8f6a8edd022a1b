/** A client of the keeper's socket. It starts a keeper where none runs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotterError } from '../../errors.js'
import {
  KEEPER_PROTOCOL_VERSION,
  type KeeperEvent,
  type KeeperRequest,
  type KeptMount,
  keeperEventFromLine,
  LineSplitter,
} from './keeper-protocol.js'

/** A keeper that was just started must listen within this time. */
const KEEPER_START_TIMEOUT_MS = 10_000
const KEEPER_START_POLL_MS = 25

export interface KeeperClientOptions {
  readonly socketPath: string
  /**
   * Program and arguments that run a keeper. The socket's path is appended. Absent: only connect.
   */
  readonly keeperCommand?: readonly string[]
}

/** See `KeeperRequest`. */
export interface StartOptions {
  readonly watchdogMs?: number
  readonly standby?: boolean
}

export class KeeperClient {
  readonly #socket: Socket
  readonly #onEvent: (event: KeeperEvent) => void
  /** Whether this client started the keeper. No mounts of earlier clients are then in it. */
  readonly hasStartedKeeper: boolean

  private constructor(
    socket: Socket,
    onEvent: (event: KeeperEvent) => void,
    hasStartedKeeper: boolean,
  ) {
    this.#socket = socket
    this.#onEvent = onEvent
    this.hasStartedKeeper = hasStartedKeeper
    const lines = new LineSplitter()
    socket.setEncoding('utf8')
    socket.on('error', () => undefined)
    socket.on('data', (chunk: string) => {
      try {
        for (const line of lines.push(chunk)) this.#onEvent(keeperEventFromLine(line))
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  /**
   * Connects to the keeper. Where none listens and `keeperCommand` is given, starts one first.
   * Throws `unavailable` where no keeper listens, or not within 10 s of its start. The caller
   * closes.
   */
  static async connect(
    options: KeeperClientOptions,
    onEvent: (event: KeeperEvent) => void,
  ): Promise<KeeperClient> {
    const running = await socketTo(options.socketPath)
    if (running !== undefined) return new KeeperClient(running, onEvent, false)
    if (options.keeperCommand === undefined) {
      throw new SnapshotterError('unavailable', `no keeper listens on ${options.socketPath}`)
    }
    startKeeper(options.keeperCommand, options.socketPath)
    for (let waitedMs = 0; waitedMs < KEEPER_START_TIMEOUT_MS; waitedMs += KEEPER_START_POLL_MS) {
      await sleep(KEEPER_START_POLL_MS)
      const socket = await socketTo(options.socketPath)
      if (socket !== undefined) return new KeeperClient(socket, onEvent, true)
    }
    throw new SnapshotterError(
      'unavailable',
      `the keeper did not listen on ${options.socketPath} within ${String(KEEPER_START_TIMEOUT_MS)} ms`,
    )
  }

  /**
   * Asks for the mounts and a daemon. The answer is a `started` or a `failed` event. A `ready`
   * event follows if `started` has `tellsReady`. With a watchdog, an `alive` event follows each
   * time that the daemon answers a ping.
   */
  start(
    command: readonly string[],
    mounts: readonly KeptMount[],
    options: StartOptions = {},
  ): void {
    const version = KEEPER_PROTOCOL_VERSION
    this.#send({ op: 'start', version, command, mounts, tellReady: true, ...options })
  }

  /** Asks the daemon to end and the mounts to stay. The answer is a `stopped` event. */
  stop(): void {
    this.#send({ op: 'stop' })
  }

  /** Asks for the end of daemon, mounts and keeper. The answer is a `done` or a `failed` event. */
  shutdown(options: { force: boolean }): void {
    this.#send({ op: 'shutdown', force: options.force })
  }

  /** Resolves when the connection is closed or broken. */
  async closed(): Promise<void> {
    if (this.#socket.closed) return
    // Not once(): it would reject when the connection breaks with an error. That counts as closed.
    await new Promise<void>((resolve) => {
      this.#socket.on('close', () => {
        resolve()
      })
    })
  }

  /** Closes the connection. The keeper then stops a daemon that this client started. Idempotent. */
  close(): void {
    this.#socket.destroy()
  }

  #send(request: KeeperRequest): void {
    this.#socket.write(JSON.stringify(request) + '\n')
  }
}

async function socketTo(path: string): Promise<Socket | undefined> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    // No process listens, or there is no socket. The caller treats both alike.
    socket.destroy()
    return undefined
  }
}

/**
 * Starts a keeper in a session of its own. So neither a terminal's signals nor the end of this
 * process end it.
 */
function startKeeper(command: readonly string[], socketPath: string): void {
  const [program, ...args] = command
  if (program === undefined) return
  const child = spawn(program, [...args, socketPath], { detached: true, stdio: 'ignore', cwd: '/' })
  child.on('error', () => undefined)
  child.unref()
}
