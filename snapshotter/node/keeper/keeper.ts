/**
 * The keeper holds the state that must survive the daemon: the /dev/fuse descriptors of the mounts,
 * and the outcome of INIT of each. A FUSE mount ends with its last descriptor. Descriptors are
 * inherited from parent to child, so the keeper is the daemon's parent. The keeper does nothing
 * else, so that it hardly ever changes and need not be restarted. FUSE requests that arrive while
 * no daemon runs wait in the kernel.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { SnapshotterError } from '../../errors.js'
import { UnixSocket } from '../unix-socket.js'
import { DaemonChild, type DaemonEnd, FIRST_INHERITED_FD } from './daemon-child.js'
import { type HeldMount, HeldMounts } from './held-mounts.js'
import {
  KEEPER_PROTOCOL_VERSION,
  type KeeperEvent,
  type KeeperRequest,
  keeperRequestFromLine,
  LineSplitter,
} from './keeper-protocol.js'
import { overlayAbove } from './overlay-above.js'

interface KeeperOptions {
  /** Path of the socket to which clients connect. */
  readonly socketPath: string
  /** How long after a daemon is ready a standby is loaded. Default 3000. */
  readonly standbyDelayMs?: number
}

type StartRequest = Extract<KeeperRequest, { op: 'start' }>

/** A daemon as a client asked for it. */
interface Order {
  readonly request: StartRequest
  /** The client: it gets the output, and the daemon ends with it. */
  readonly owner: Socket
}

/** A process of the daemon's program: the daemon, or a standby. */
interface Run {
  order: Order
  readonly daemon: DaemonChild
  /** Those whose descriptors it has. */
  readonly mounts: readonly HeldMount[]
}

/** Long enough that loading a standby does not slow down what waits for the daemon. */
const DEFAULT_STANDBY_DELAY_MS = 3000

export class Keeper {
  readonly #server: Server
  readonly #mounts = new HeldMounts()
  readonly #onEmpty: () => void
  readonly #standbyDelayMs: number
  #socket: UnixSocket | undefined
  /** Requests are obeyed one after the other, whoever sent them. */
  #turn: Promise<void> = Promise.resolve()
  #daemon: DaemonChild | undefined
  #standby: Run | undefined
  /** What the daemon was started for; undefined once its owner has gone. */
  #order: Order | undefined
  /** The last order whose daemon became ready: it is tried again where a new one does not. */
  #proven: Order | undefined

  private constructor(options: KeeperOptions, onEmpty: () => void) {
    this.#standbyDelayMs = options.standbyDelayMs ?? DEFAULT_STANDBY_DELAY_MS
    this.#onEmpty = onEmpty
    this.#server = createServer((socket) => {
      this.#serve(socket)
    })
  }

  /**
   * Listens on `socketPath`. `onEmpty` is called once a shutdown has unmounted everything; the
   * process can then end. Rejects where the socket cannot be made. The caller closes the keeper.
   */
  static async listen(options: KeeperOptions, onEmpty: () => void): Promise<Keeper> {
    const keeper = new Keeper(options, onEmpty)
    const { socketPath: path } = options
    keeper.#socket = await UnixSocket.create({ path, mode: 0o600 }, async (unnamed) => {
      keeper.#server.listen(unnamed)
      await once(keeper.#server, 'listening')
    })
    return keeper
  }

  /** Stops listening. Mounts and daemon stay until the process ends. Idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    await this.#socket?.close()
    this.#server.close()
    this.#order?.owner.end()
  }

  #serve(socket: Socket): void {
    const lines = new LineSplitter()
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: string) => {
      this.#queue(() => this.#answer(socket, lines, chunk))
    })
    socket.on('close', () => {
      this.#queue(() => this.#leave(socket))
    })
  }

  #queue(work: () => Promise<void>): void {
    // A request that fails is answered where it is obeyed; the next ones go on.
    this.#turn = this.#turn.then(work).catch(() => undefined)
  }

  async #answer(socket: Socket, lines: LineSplitter, chunk: string): Promise<void> {
    try {
      for (const line of lines.push(chunk)) await this.#obey(socket, keeperRequestFromLine(line))
    } catch (error) {
      send(socket, {
        event: 'failed',
        message: error instanceof Error ? error.message : String(error),
      })
    }
  }

  async #obey(socket: Socket, request: KeeperRequest): Promise<void> {
    switch (request.op) {
      case 'start':
        await this.#start(socket, request)
        return
      case 'stop':
        await this.#leave(socket)
        send(socket, { event: 'stopped' })
        return
      case 'shutdown':
        await this.#shutdown(request.force)
        send(socket, { event: 'done' })
        // The front that runs the daemon ends with it, in order.
        if (this.#order !== undefined && this.#order.owner !== socket)
          send(this.#order.owner, { event: 'done' })
        await this.close()
        this.#onEmpty()
    }
  }

  /** Whatever can fail before the running daemon is stopped is done before. */
  async #start(socket: Socket, request: StartRequest): Promise<void> {
    if (request.version !== KEEPER_PROTOCOL_VERSION) {
      throw new SnapshotterError(
        'failed-precondition',
        `keeper: speaks version ${String(KEEPER_PROTOCOL_VERSION)}, was asked for ${String(request.version)}; ` +
          'shut it down (thinctl shutdown) and start again',
      )
    }
    if (request.command[0] === undefined) {
      throw new SnapshotterError(
        'invalid-argument',
        'keeper: asked to start a daemon without a command',
      )
    }
    for (const notice of await this.#mounts.hold(request.mounts)) say(socket, notice)
    const replaced = this.#order
    await this.#daemon?.stop()
    // An owner whose daemon never became ready cannot get it back.
    if (replaced !== undefined && replaced !== this.#proven && replaced.owner !== socket) {
      send(replaced.owner, { event: 'stopped' })
    }
    this.#spawn({ owner: socket, request })
  }

  #spawn(order: Order): void {
    const { owner, request } = order
    const mounts = this.#mounts.named(request.mounts.map(({ name }) => name))
    const fuse = mounts.map(
      ({ name, negotiated }, i) =>
        `${name}=${String(FIRST_INHERITED_FD + i)}=${JSON.stringify(negotiated ?? null)}`,
    )
    const standby = this.#takeStandby(order, mounts)
    standby?.daemon.serve(fuse)
    const { daemon } =
      standby ??
      this.#launch(
        order,
        mounts,
        fuse.flatMap((one) => ['--fuse', one]),
      )
    this.#daemon = daemon
    this.#order = order
    if (daemon.pid === undefined) return
    const tellsReady = request.tellReady === true
    send(owner, { event: 'started', pid: daemon.pid, ...(tellsReady && { tellsReady }) })
  }

  #launch(order: Order, mounts: readonly HeldMount[], args: readonly string[]): Run {
    const { command, watchdogMs = 0 } = order.request
    const [program = '', ...rest] = command
    const fds = [...mounts.map(({ handle }) => handle.fd), ...this.#mounts.lockFds()]
    const daemon = DaemonChild.spawn(
      { program, args: [...rest, ...args], fds, watchdogMs },
      {
        onOutput: (stream, text) => {
          send(run.order.owner, { event: 'output', stream, text })
        },
        onNegotiated: ({ name, negotiated }) => {
          this.#mounts.remember(name, negotiated)
        },
        onReady: () => {
          this.#prove(run.order)
        },
        onAlive: () => {
          if (this.#daemon === daemon) this.#queue(() => this.#look(run.order.owner))
        },
        onHang: (hungMs) => {
          const who = this.#daemon === daemon ? 'the daemon' : 'the standby'
          say(run.order.owner, `${who} did not answer for ${String(hungMs)} ms: it is replaced`)
        },
        onEnd: (end) => {
          if (this.#standby === run) this.#standby = undefined
          else this.#bury(run.order, daemon, end)
        },
      },
    )
    const run: Run = { order, daemon, mounts }
    return run
  }

  /** Loads the program of `order` a second time, unless it has been replaced meanwhile. */
  #prepareStandby(order: Order): void {
    if (this.#order !== order || this.#daemon?.isReady !== true || this.#standby) return
    const mounts = this.#mounts.named(order.request.mounts.map(({ name }) => name))
    this.#standby = this.#launch(order, mounts, ['--standby'])
  }

  /** The standby, if it can stand in for `order`: the same program, front and mounts. */
  #takeStandby(order: Order, mounts: readonly HeldMount[]): Run | undefined {
    const standby = this.#standby
    if (standby === undefined) return undefined
    const fits =
      standby.order.owner === order.owner &&
      isSameCommand(standby.order, order) &&
      standby.mounts.length === mounts.length &&
      standby.mounts.every((mount, i) => mount === mounts[i])
    if (!fits) {
      this.#discardStandby()
      return undefined
    }
    this.#standby = undefined
    standby.order = order
    return standby
  }

  #discardStandby(): void {
    this.#standby?.daemon.discard()
    this.#standby = undefined
  }

  /** At every answer to a ping: the mounts may have been unmounted by hand meanwhile. */
  async #look(owner: Socket): Promise<void> {
    send(owner, { event: 'alive' })
    for (const notice of await this.#mounts.putBack()) say(owner, notice)
  }

  /** The daemon of `order` serves: the one that it replaced is not needed any more. */
  #prove(order: Order): void {
    const replaced = this.#proven
    this.#proven = order
    if (replaced !== undefined && replaced.owner !== order.owner) {
      send(replaced.owner, { event: 'stopped' })
    }
    if (order.request.tellReady === true) send(order.owner, { event: 'ready' })
    if (order.request.standby !== true) return
    setTimeout(() => {
      this.#prepareStandby(order)
    }, this.#standbyDelayMs).unref()
  }

  #bury(order: Order, daemon: DaemonChild, end: DaemonEnd): void {
    if (this.#daemon === daemon) this.#daemon = undefined
    if (daemon.isStopping) return
    const proven = this.#proven
    // Daemons of older fronts do not say that they are ready.
    const failedToStart = order.request.tellReady === true && !daemon.isReady
    if (failedToStart && proven !== undefined && proven !== order) {
      if (this.#goOn(order, proven, end)) return
    }
    if (end.kind === 'failed') {
      send(order.owner, { event: 'failed', message: `keeper: ${end.message}` })
    } else {
      send(order.owner, { event: 'exited', code: end.code, signal: end.signal })
    }
  }

  /** Starts the daemon that `order` was to replace again, if there is one that differs. */
  #goOn(order: Order, proven: Order, end: DaemonEnd): boolean {
    const status =
      end.kind === 'exited' ? (end.signal ?? `status ${String(end.code)}`) : end.message
    const why = `the new daemon ended before it was ready (${status})`
    if (proven.owner !== order.owner && proven.owner.writable) {
      send(order.owner, {
        event: 'failed',
        message: `${why}; the daemon that ran before was started again`,
      })
      this.#spawn(proven)
      return true
    }
    if (isSameCommand(order, proven)) return false
    say(order.owner, `${why}; the one before goes on: ${proven.request.command.join(' ')}`)
    this.#spawn({ ...proven, owner: order.owner })
    return true
  }

  /** `socket` wants no daemon any more. */
  async #leave(socket: Socket): Promise<void> {
    if (this.#order?.owner !== socket) return
    const proven = this.#proven
    const isReady = this.#daemon?.isReady === true
    this.#discardStandby()
    await this.#daemon?.stop()
    this.#order = undefined
    // A new daemon that was given up while it started has replaced nothing.
    const goesOn = proven !== undefined && proven.owner !== socket && proven.owner.writable
    if (!isReady && goesOn) this.#spawn(proven)
  }

  /** A refusal comes before anything is stopped, so that containers are not affected. */
  async #shutdown(force: boolean): Promise<void> {
    const user = force ? undefined : await overlayAbove(this.#mounts.mountpoints)
    if (user !== undefined) {
      throw new SnapshotterError(
        'failed-precondition',
        `${user} is mounted over our trees; end its container first, or shut down with --force`,
      )
    }
    this.#discardStandby()
    await this.#daemon?.stop()
    await this.#mounts.release()
  }
}

function isSameCommand(one: Order, other: Order): boolean {
  return JSON.stringify(one.request.command) === JSON.stringify(other.request.command)
}

/** A line for the operator, beside what the daemon says. */
function say(socket: Socket, message: string): void {
  send(socket, {
    event: 'output',
    stream: 'stderr',
    text: `thin-snapshotter-keeper: ${message}\n`,
  })
}

function send(socket: Socket, event: KeeperEvent): void {
  if (socket.writable) socket.write(JSON.stringify(event) + '\n')
}
