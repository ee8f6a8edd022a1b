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
  /** Time between a daemon's `ready` and the start of its standby. Default 3000. */
  readonly standbyDelayMs?: number
}

type StartRequest = Extract<KeeperRequest, { op: 'start' }>

/** A client's request for a daemon. */
interface Order {
  readonly request: StartRequest
  /** The client. It gets the daemon's output. When it disconnects, the daemon is ended. */
  readonly owner: Socket
}

/** A process of the daemon's program: the daemon, or a standby. */
interface Run {
  order: Order
  readonly daemon: DaemonChild
  /** The mounts whose descriptors the process has. */
  readonly mounts: readonly HeldMount[]
}

/** Loading a standby must not slow down the containers that have waited for the daemon. */
const DEFAULT_STANDBY_DELAY_MS = 3000

export class Keeper {
  readonly #server: Server
  readonly #mounts = new HeldMounts()
  readonly #onEmpty: () => void
  readonly #standbyDelayMs: number
  #socket: UnixSocket | undefined
  /** The end of the last request. The requests of all clients are handled one at a time. */
  #turn: Promise<void> = Promise.resolve()
  #daemon: DaemonChild | undefined
  #standby: Run | undefined
  /** The order that the daemon was started for. Undefined once the order's owner has left. */
  #order: Order | undefined
  /**
   * The last order whose daemon became ready. It is started again if the daemon of a newer order
   * ends before it is ready.
   */
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
    // `#answer` reports an error to the client. The requests that follow are handled all the same.
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
        // The front that owns the daemon is told, too, so that it ends in order.
        if (this.#order !== undefined && this.#order.owner !== socket)
          send(this.#order.owner, { event: 'done' })
        await this.close()
        this.#onEmpty()
    }
  }

  /**
   * Checks the request and makes the mounts before it stops the running daemon. A request that
   * fails in this part leaves that daemon running.
   */
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
    // Only the proven order can be started again. The owner of any other order is told that its
    // daemon has stopped.
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

  /**
   * Starts a standby for `order`. Does nothing if the keeper has another order by now, if the
   * daemon is not ready, or if there is a standby.
   */
  #prepareStandby(order: Order): void {
    if (this.#order !== order || this.#daemon?.isReady !== true || this.#standby) return
    const mounts = this.#mounts.named(order.request.mounts.map(({ name }) => name))
    this.#standby = this.#launch(order, mounts, ['--standby'])
  }

  /**
   * Returns the standby if it has the command, the owner and the mounts of `order`. A standby that
   * has others is ended.
   */
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

  /**
   * Called each time that the daemon has answered a ping. Tells the owner, and mounts again the
   * mounts that were unmounted by hand.
   */
  async #look(owner: Socket): Promise<void> {
    send(owner, { event: 'alive' })
    for (const notice of await this.#mounts.putBack()) say(owner, notice)
  }

  /**
   * Called when the daemon of `order` is ready. The order that it replaced is not needed any more,
   * and its owner is told so.
   */
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

  /**
   * Starts the daemon of `proven` again: the daemon of `order`, which replaced it, ended before it
   * was ready. If the owner of `proven` has gone, the owner of `order` gets the daemon. Returns
   * false, and starts nothing, if that owner would get the command of `order` again.
   */
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

  /** Called when `socket` has disconnected or asks for a stop. Ends its daemon if it has one. */
  async #leave(socket: Socket): Promise<void> {
    if (this.#order?.owner !== socket) return
    const proven = this.#proven
    const isReady = this.#daemon?.isReady === true
    this.#discardStandby()
    await this.#daemon?.stop()
    this.#order = undefined
    // The daemon that ended here may never have been ready. The proven daemon of another front is
    // then started again.
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

/** Sends a line for the operator, as a part of the daemon's output. */
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
