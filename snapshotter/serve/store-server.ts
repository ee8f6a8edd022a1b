/**
 * The embedded store and pull-only registry: serves one folder over HTTP, for one machine. A blob
 * never changes under its name, so clients may cache it for ever. Tags may change at any time. The
 * server sends the folder's bytes unverified; clients verify them.
 */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Log } from '../../fusefs/index.js'
import type { Digest } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { byteRangeOf } from './byte-range.js'
import { type RequestTarget, requestTargetOf } from './request-target.js'
import { type OpenBlob, ServedFolder } from './served-folder.js'

export interface StoreServerOptions {
  /** A store's folder or an OCI layout. One folder is usually both. */
  readonly folder: string
  /** Default 127.0.0.1, because there is no authentication. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
}

const MAX_CONNECTIONS = 1024
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 65_000
/** A client that takes no byte for this long is dropped. */
const SOCKET_IDLE_MS = 60_000
/** Limit for answers under way when the server is closed. */
const CLOSE_TIMEOUT_MS = 5_000
const READ_BYTES = 256 * 1024

export class StoreServer {
  /** For example `http://127.0.0.1:5000`. */
  readonly url: string
  readonly #server: Server
  #closing: Promise<void> | undefined

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  /**
   * Starts to listen. Throws `not-found` if the folder does not exist, `internal` if it cannot
   * listen, as on a port in use. The caller closes the server.
   */
  static async start(
    options: StoreServerOptions,
    modules: { readonly log: Log },
  ): Promise<StoreServer> {
    const { host = '127.0.0.1', port = 0 } = options
    const path = resolve(options.folder)
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() !== true) {
      throw new SnapshotterError('not-found', `serve ${path}: there is no such folder`)
    }
    const answers = new Answers(new ServedFolder(path), modules.log)
    const server = createServer((request, response) => void answers.answer(request, response))
    server.maxConnections = MAX_CONNECTIONS
    server.headersTimeout = HEADERS_TIMEOUT_MS
    server.requestTimeout = REQUEST_TIMEOUT_MS
    server.keepAliveTimeout = KEEP_ALIVE_MS
    server.setTimeout(SOCKET_IDLE_MS)
    server.listen(port, host)
    try {
      await once(server, 'listening')
    } catch (cause) {
      throw new SnapshotterError('internal', `serve ${path}: listen on ${host}:${port}`, { cause })
    }
    const address = server.address()
    if (address === null || typeof address === 'string') {
      throw new SnapshotterError('internal', `serve ${path}: no address`)
    }
    const shown = host.includes(':') ? `[${host}]` : host
    return new StoreServer(server, `http://${shown}:${address.port}`)
  }

  /** Accepts no more requests, and waits at most 5 s for answers under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeIdleConnections()
    const force = setTimeout(() => {
      this.#server.closeAllConnections()
    }, CLOSE_TIMEOUT_MS)
    await closed
    clearTimeout(force)
  }
}

class Answers {
  readonly #folder: ServedFolder
  readonly #log: Log

  constructor(folder: ServedFolder, log: Log) {
    this.#folder = folder
    this.#log = log
  }

  /** Never throws. A failure is answered with an error, or ends the connection. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    try {
      response.setHeader('docker-distribution-api-version', 'registry/2.0')
      const target = requestTargetOf(url)
      if (method !== 'GET' && method !== 'HEAD') this.#refuse(response, 405, 'UNSUPPORTED')
      else await this.#send(target, request, response)
      this.#log.debug({ method, url, status: response.statusCode }, 'answered')
    } catch (error) {
      const gone = response.destroyed || request.socket.destroyed
      if (gone) return
      this.#log.error({ method, url, error }, 'a request could not be answered')
      if (response.headersSent) response.destroy()
      else this.#refuse(response, 500, 'UNKNOWN')
    }
  }

  async #send(
    target: RequestTarget,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (target.kind) {
      case 'api':
        sendBytes(response, 'application/json', Buffer.from('{}'))
        return
      case 'blob': {
        const blob = await this.#folder.openBlob(target.digest)
        if (blob === undefined) this.#refuse(response, 404, 'BLOB_UNKNOWN')
        else await sendBlob(blob, target.digest, request, response)
        return
      }
      case 'manifest': {
        const manifest = await this.#folder.manifest(target.repository, target.reference)
        if (manifest === undefined) {
          this.#refuse(response, 404, 'MANIFEST_UNKNOWN')
          return
        }
        response.setHeader('docker-content-digest', manifest.digest)
        response.setHeader('etag', `"${manifest.digest}"`)
        sendBytes(response, manifest.mediaType, manifest.bytes)
        return
      }
      case 'tags': {
        const { repository: name } = target
        const tags = await this.#folder.tags(name)
        sendBytes(response, 'application/json', Buffer.from(JSON.stringify({ name, tags })))
        return
      }
      case 'upload':
        this.#refuse(response, 405, 'UNSUPPORTED')
        return
      case 'nothing':
        this.#refuse(response, 404, 'NAME_UNKNOWN')
        return
    }
  }

  /** Sends an error in the form of the distribution specification. */
  #refuse(response: ServerResponse, status: number, code: string): void {
    const message = status === 405 ? 'this registry is for pulling only' : code.toLowerCase()
    response.statusCode = status
    if (status === 405) response.setHeader('allow', 'GET, HEAD')
    const body = Buffer.from(JSON.stringify({ errors: [{ code, message }] }))
    sendBytes(response, 'application/json', body)
  }
}

/** Sends `bytes` as the whole body. For HEAD, Node itself omits the body. */
function sendBytes(response: ServerResponse, type: string, bytes: Uint8Array): void {
  response.setHeader('content-type', type)
  response.setHeader('content-length', bytes.length)
  response.end(bytes)
}

async function sendBlob(
  { file, sizeBytes }: OpenBlob,
  digest: Digest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const etag = `"${digest}"`
    response.setHeader('etag', etag)
    response.setHeader('docker-content-digest', digest)
    response.setHeader('cache-control', 'public, max-age=31536000, immutable')
    response.setHeader('accept-ranges', 'bytes')
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end()
      return
    }
    const stale = request.headers['if-range'] !== undefined && request.headers['if-range'] !== etag
    const range = byteRangeOf(stale ? undefined : request.headers.range, sizeBytes)
    if (range.kind === 'unsatisfiable') {
      response.writeHead(416, { 'content-range': `bytes */${sizeBytes}` }).end()
      return
    }
    const { start, end } = range.kind === 'part' ? range : { start: 0, end: sizeBytes }
    if (range.kind === 'part') {
      response.setHeader('content-range', `bytes ${start}-${end - 1}/${sizeBytes}`)
    }
    response.writeHead(range.kind === 'part' ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': end - start,
    })
    if (request.method === 'HEAD' || start === end) {
      response.end()
      return
    }
    const options = { start, end: end - 1, autoClose: false, highWaterMark: READ_BYTES }
    await pipeline(file.createReadStream(options), response)
  } finally {
    await file.close()
  }
}
