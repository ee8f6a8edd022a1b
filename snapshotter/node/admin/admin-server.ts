/**
 * The daemon's admin server: HTTP over a unix socket that only root can open. It is for people and
 * scripts on this machine. The same class serves metrics to Prometheus over TCP where configured.
 */
import { once } from 'node:events'
import type { ListenOptions } from 'node:net'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { SnapshotterError } from '../../errors.js'
import { UnixSocket } from '../unix-socket.js'

/** The answer of a route. Its status is 200. */
export interface AdminAnswer {
  readonly contentType: string
  readonly body: string
}

/**
 * Answers a request. `signal` aborts when the client disconnects. `query` is the query of the URL.
 * A rejection is answered with status 500 and its message.
 */
export type AdminRoute = (signal: AbortSignal, query: URLSearchParams) => Promise<AdminAnswer>

/** Routes by method and path, such as `GET /v1/status`. */
export type AdminRoutes = Readonly<Record<string, AdminRoute>>

/** The address to listen on: the path of a unix socket, or a host and a port. */
export type AdminAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

const REQUEST_TIMEOUT_MS = 30_000

export class AdminServer {
  readonly #server: Server
  /** Absent where the server listens with TCP. */
  readonly #socket: UnixSocket | undefined

  private constructor(server: Server, socket: UnixSocket | undefined) {
    this.#server = server
    this.#socket = socket
  }

  /**
   * Listens. For a unix socket, throws what `UnixSocket.create` throws: `failed-precondition` where
   * another process listens on it. For TCP, throws `unavailable` where the address cannot be bound.
   * The caller closes the server.
   */
  static async listen(address: AdminAddress, routes: AdminRoutes): Promise<AdminServer> {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void answer(routes, request, response)
    })
    if (address.kind === 'unix') {
      const socket = await UnixSocket.create({ path: address.path, mode: 0o600 }, (path) =>
        bind(server, { path }),
      )
      return new AdminServer(server, socket)
    }
    try {
      await bind(server, { host: address.host, port: address.port })
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `listen on ${address.host}:${address.port}: ${why}`
      throw new SnapshotterError('unavailable', message, { cause })
    }
    return new AdminServer(server, undefined)
  }

  /** The port that the server listens on; `undefined` for a unix socket. */
  get port(): number | undefined {
    const bound = this.#server.address()
    return typeof bound === 'object' && bound !== null ? bound.port : undefined
  }

  /** Stops listening and ends open connections. Idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    await this.#socket?.close()
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

async function bind(server: Server, address: ListenOptions): Promise<void> {
  server.listen(address)
  await once(server, 'listening')
}

async function answer(
  routes: AdminRoutes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = '', ...query] = (request.url ?? '').split('?')
  const name = `${request.method ?? ''} ${path}`
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined
  const gone = new AbortController()
  response.on('close', () => {
    gone.abort()
  })
  try {
    if (route === undefined) {
      respond(
        response,
        404,
        'text/plain',
        `no route ${name}; there are: ${Object.keys(routes).join(', ')}\n`,
      )
      return
    }
    const { contentType, body } = await route(gone.signal, new URLSearchParams(query.join('?')))
    respond(response, 200, contentType, body)
  } catch (error) {
    respond(
      response,
      500,
      'text/plain',
      `${error instanceof Error ? error.message : String(error)}\n`,
    )
  }
}

function respond(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
): void {
  if (response.destroyed) return
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}
