/**
 * The keeper holds the state that must survive the daemon: the /dev/fuse descriptors of the mounts,
 * and the outcome of INIT of each. A FUSE mount ends with its last descriptor. Descriptors are
 * inherited from parent to child, so the keeper is the daemon's parent. The keeper does nothing
 * else, so that it hardly ever changes and need not be restarted. FUSE requests that arrive while
 * no daemon runs wait in the kernel.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, mkdir } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NegotiatedInit } from '../../../fusefs/index.js'
import { mountFuse, unmountFuse } from '../../../fusefs/mounting.js'
import { SnapshotterError } from '../../errors.js'
import { UnixSocket } from '../unix-socket.js'
import {
  isNegotiatedMessage,
  KEEPER_PROTOCOL_VERSION,
  type KeeperEvent,
  type KeeperRequest,
  type KeptMount,
  keeperRequestFromLine,
  LineSplitter,
} from './keeper-protocol.js'
import { overlayAbove } from './overlay-above.js'

/** A daemon that has not ended this long after SIGTERM gets SIGKILL. */
const STOP_TIMEOUT_MS = 20_000

/**
 * Environment of the daemon. Variables that the operator has set take precedence. The malloc
 * settings make glibc return memory to the system, see mallopt(3). Each thread gets a heap of its
 * own. With shared heaps, the 30 MiB that V8's compiler takes for a moment lie between allocations
 * that SQLite keeps, and are never returned. The other settings return free memory at the top of a
 * heap; by default, glibc keeps up to 64 MiB of it after the first large buffer.
 */
const DAEMON_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '16',
  MALLOC_MMAP_THRESHOLD_: String(128 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(64 * 1024),
  MALLOC_TOP_PAD_: '0',
  // Node.js's default is 4. Each mount without trees occupies a thread, which waits in read(2).
  UV_THREADPOOL_SIZE: '6',
}

/** The first descriptor of a child after stdin, stdout, stderr and the channel to the parent. */
const FIRST_FUSE_FD = 4

interface HeldMount {
  readonly mountpoint: string
  readonly handle: FileHandle
  negotiated: NegotiatedInit | undefined
}

interface KeeperOptions {
  /** Path of the socket to which clients connect. */
  readonly socketPath: string
}

export class Keeper {
  readonly #server: Server
  readonly #mounts = new Map<string, HeldMount>()
  readonly #onEmpty: () => void
  #socket: UnixSocket | undefined
  #daemon: ChildProcess | undefined
  /** The client that started the daemon. The daemon ends when this client disconnects. */
  #owner: Socket | undefined

  private constructor(onEmpty: () => void) {
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
    const keeper = new Keeper(onEmpty)
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
    this.#owner?.end()
  }

  #serve(socket: Socket): void {
    const lines = new LineSplitter()
    // Requests of one client are answered in order. A stop that overtook its start would be lost.
    let turn: Promise<void> = Promise.resolve()
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: string) => {
      turn = turn.then(() => this.#answer(socket, lines, chunk))
    })
    socket.on('close', () => {
      if (this.#owner !== socket) return
      this.#owner = undefined
      void this.#stopDaemon()
    })
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
        await this.#stopDaemon()
        send(socket, { event: 'stopped' })
        return
      case 'shutdown':
        await this.#shutdown(request.force)
        send(socket, { event: 'done' })
        // The client that started the daemon is told, so that its process ends as well.
        if (this.#owner !== undefined && this.#owner !== socket)
          send(this.#owner, { event: 'done' })
        await this.close()
        this.#onEmpty()
    }
  }

  async #start(socket: Socket, request: Extract<KeeperRequest, { op: 'start' }>): Promise<void> {
    if (request.version !== KEEPER_PROTOCOL_VERSION) {
      throw new SnapshotterError(
        'failed-precondition',
        `keeper: speaks version ${String(KEEPER_PROTOCOL_VERSION)}, was asked for ${String(request.version)}; ` +
          'shut it down (thinctl shutdown) and start again',
      )
    }
    await this.#stopDaemon()
    for (const mount of request.mounts) await this.#hold(mount)
    this.#owner = socket
    this.#spawn(socket, request)
  }

  async #hold({ name, mountpoint }: KeptMount): Promise<void> {
    const held = this.#mounts.get(name)
    if (held?.mountpoint === mountpoint) return
    if (held !== undefined) {
      throw new SnapshotterError(
        'failed-precondition',
        `keeper: holds ${name} at ${held.mountpoint}, was asked for ${mountpoint}; shut it down first`,
      )
    }
    // An earlier keeper may have left a dead mount, which answers every call with ENOTCONN.
    await mkdir(mountpoint, { recursive: true, mode: 0o700 })
    await unmountFuse(mountpoint)
    const { handle } = await mountFuse({ mountpoint, fsName: `thin-${name}` })
    this.#mounts.set(name, { mountpoint, handle, negotiated: undefined })
  }

  #spawn(socket: Socket, request: Extract<KeeperRequest, { op: 'start' }>): void {
    const [program, ...args] = request.command
    if (program === undefined) {
      throw new SnapshotterError(
        'invalid-argument',
        'keeper: asked to start a daemon without a command',
      )
    }
    const held = request.mounts.flatMap(({ name }) => {
      const mount = this.#mounts.get(name)
      return mount === undefined ? [] : [{ name, mount }]
    })
    const fuseArgs = held.flatMap(({ name, mount }, i) => [
      '--fuse',
      `${name}=${String(FIRST_FUSE_FD + i)}=${JSON.stringify(mount.negotiated ?? null)}`,
    ])
    const child = spawn(program, [...args, ...fuseArgs], {
      env: { ...DAEMON_ENVIRONMENT, ...process.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...held.map(({ mount }) => mount.handle.fd)],
    })
    this.#daemon = child
    child.on('message', (message) => {
      this.#remember(message)
    })
    child.on('error', (error) => {
      send(socket, { event: 'failed', message: `keeper: cannot run ${program}: ${error.message}` })
    })
    forward(child, socket)
    child.on('close', (code, signal) => {
      if (this.#daemon === child) this.#daemon = undefined
      send(socket, { event: 'exited', code, signal })
    })
    if (child.pid !== undefined) send(socket, { event: 'started', pid: child.pid })
  }

  #remember(message: unknown): void {
    if (!isNegotiatedMessage(message)) return
    const mount = this.#mounts.get(message.name)
    if (mount !== undefined) mount.negotiated = message.negotiated
  }

  async #stopDaemon(): Promise<void> {
    const child = this.#daemon
    if (child === undefined) return
    const closed = once(child, 'close')
    child.kill('SIGTERM')
    const deadline = new AbortController()
    const killed = sleep(STOP_TIMEOUT_MS, undefined, { signal: deadline.signal }).then(
      () => child.kill('SIGKILL'),
      () => false,
    )
    await closed
    deadline.abort()
    await killed
  }

  /** A refusal comes before anything is stopped, so that containers are not affected. */
  async #shutdown(force: boolean): Promise<void> {
    const mountpoints = [...this.#mounts.values()].map(({ mountpoint }) => mountpoint)
    const user = force ? undefined : await overlayAbove(mountpoints)
    if (user !== undefined) {
      throw new SnapshotterError(
        'failed-precondition',
        `${user} is mounted over our trees; end its container first, or shut down with --force`,
      )
    }
    await this.#stopDaemon()
    for (const [name, { mountpoint, handle }] of this.#mounts) {
      await unmountFuse(mountpoint)
      // This is the last descriptor. Requests that still wait for an answer get ENOTCONN.
      await handle.close()
      this.#mounts.delete(name)
    }
  }
}

function send(socket: Socket, event: KeeperEvent): void {
  if (socket.writable) socket.write(JSON.stringify(event) + '\n')
}

/** Sends the daemon's output to the client that started it. Its terminal or journal shows it. */
function forward(child: ChildProcess, socket: Socket): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = child[name]
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      send(socket, { event: 'output', stream: name, text })
    })
  }
}
