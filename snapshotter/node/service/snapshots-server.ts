/** The snapshots service on its unix socket. containerd's proxy plugin connects to it. */
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { loadSnapshotsService } from '../../../proto/index.js'
import { SnapshotterError } from '../../errors.js'
import { type SnapshotsServiceModules, snapshotsService } from './snapshots-service.js'
import { UnixSocket } from '../unix-socket.js'

export interface SnapshotsServerOptions {
  /** Absolute path of the socket. */
  readonly address: string
  /** `close` waits this long for calls under way, then cuts them off. Default 5000. */
  readonly drainTimeoutMs?: number
}

/** The caller closes the store, after the server. */
export type SnapshotsServerModules = SnapshotsServiceModules

const DEFAULT_DRAIN_TIMEOUT_MS = 5000
const SERVER_OPTIONS = {
  /** Calls at once on one connection. containerd makes a few dozen. */
  'grpc.max_concurrent_streams': 1024,
  /** channelz keeps statistics for each call, and this server has no service to read them. */
  'grpc.enable_channelz': 0,
}

export class SnapshotsServer {
  readonly #server: Server
  readonly #socket: UnixSocket
  readonly #drainTimeoutMs: number
  #closing: Promise<void> | undefined

  private constructor(server: Server, socket: UnixSocket, drainTimeoutMs: number) {
    this.#server = server
    this.#socket = socket
    this.#drainTimeoutMs = drainTimeoutMs
  }

  /**
   * Listens on `options.address`, for root only (mode 0600). Throws what `UnixSocket.create`
   * throws: `failed-precondition` when another process listens there. The caller closes the server.
   */
  static async start(
    options: SnapshotsServerOptions,
    modules: SnapshotsServerModules,
  ): Promise<SnapshotsServer> {
    const server = new Server(SERVER_OPTIONS)
    server.addService(loadSnapshotsService(), snapshotsService(modules))
    try {
      const socket = await UnixSocket.create({ path: options.address, mode: 0o600 }, (path) =>
        bind(server, path),
      )
      return new SnapshotsServer(server, socket, options.drainTimeoutMs ?? DEFAULT_DRAIN_TIMEOUT_MS)
    } catch (error) {
      server.forceShutdown()
      throw SnapshotterError.from(error, `listen on ${options.address}`)
    }
  }

  /** Removes the socket, waits for calls under way, then cuts off the rest. Idempotent. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#socket.close()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown()
      }, this.#drainTimeoutMs)
      this.#server.tryShutdown(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

async function bind(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
