/**
 * An HTTP server with faults that no real store gives on demand. Without a fault it answers range
 * requests correctly. Each fault replaces one answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface Range {
  readonly offset: number
  readonly length: number
}

/** Answers one request wrongly. `range` is the requested range of `blob`. */
export type Fault = (exchange: {
  request: IncomingMessage
  response: ServerResponse
  blob: Buffer
  range: Range
}) => void

export class BlobServer {
  readonly requests: { path: string; headers: IncomingMessage['headers'] }[] = []
  /** Each fault is used for one request, in order, before `always`. */
  readonly faults: Fault[] = []
  /** Used for every request while it is set. */
  always: Fault | undefined
  connections = 0
  readonly #server: Server
  readonly #blobs: ReadonlyMap<string, Buffer>
  readonly #sockets = new Set<Socket>()

  private constructor(blobs: ReadonlyMap<string, Buffer>) {
    this.#blobs = blobs
    this.#server = createServer((request, response) => {
      this.#answer(request, response)
    })
    this.#server.on('connection', (socket) => {
      this.connections++
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
    })
  }

  /**
   * Starts a server on a loopback port, by default a free one. `blobs` maps paths to blobs. The
   * caller stops it.
   */
  static async start(blobs: ReadonlyMap<string, Buffer>, port = 0): Promise<BlobServer> {
    const server = new BlobServer(blobs)
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve))
    return server
  }

  get origin(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the server is not up')
    const { port } = address satisfies AddressInfo
    return `http://127.0.0.1:${port}`
  }

  /** Connections that are open now. */
  get openConnections(): number {
    return this.#sockets.size
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? ''
    this.requests.push({ path, headers: request.headers })
    const blob = this.#blobs.get(path.split('?')[0] ?? '')
    const range = rangeOf(request)
    const fault = this.faults.shift() ?? this.always
    if (fault !== undefined) {
      fault({ request, response, blob: blob ?? Buffer.alloc(0), range })
    } else if (blob === undefined) {
      answerStatus(404)({ request, response, blob: Buffer.alloc(0), range })
    } else {
      answerRange(blob, range, response)
    }
  }
}

/** Sends the right answer. */
export function answerRange(blob: Buffer, range: Range, response: ServerResponse): void {
  const bytes = blob.subarray(range.offset, range.offset + range.length)
  response.writeHead(206, partialHeaders(blob, range))
  response.end(bytes)
}

/** The headers of the right answer. */
export function partialHeaders(blob: Buffer, range: Range): Record<string, string | number> {
  const last = range.offset + range.length - 1
  return {
    'content-range': `bytes ${range.offset}-${last}/${blob.length}`,
    'content-length': range.length,
  }
}

/** Answers with a status and no content of the blob. */
export function answerStatus(status: number, headers: Record<string, string> = {}): Fault {
  return ({ response }) => {
    response.writeHead(status, headers)
    response.end('no content here')
  }
}

/** Answers with the whole blob, as a server without range support does. */
export const answerWhole: Fault = ({ response, blob }) => {
  response.writeHead(200, { 'content-length': blob.length })
  response.end(blob)
}

/** Sends the right headers and `count` bytes, then resets the connection. */
export function resetAfter(count: number): Fault {
  return ({ response, blob, range }) => {
    response.writeHead(206, partialHeaders(blob, range))
    response.write(blob.subarray(range.offset, range.offset + count), () => {
      response.socket?.resetAndDestroy()
    })
  }
}

/** Sends the right headers and `count` bytes, then nothing more. The connection stays open. */
export function stallAfter(count: number): Fault {
  return ({ response, blob, range }) => {
    response.writeHead(206, partialHeaders(blob, range))
    response.write(blob.subarray(range.offset, range.offset + count))
  }
}

/**
 * Sends the right headers without a length, and a chunked body that ends properly after `count`
 * bytes.
 */
export function endAfter(count: number): Fault {
  return ({ response, blob, range }) => {
    const headers = partialHeaders(blob, range)
    delete headers['content-length']
    response.writeHead(206, headers)
    response.end(blob.subarray(range.offset, range.offset + count))
  }
}

/** Never answers. The connection stays open. */
export const neverAnswer: Fault = () => undefined

/** Sends the right answer, but with one bit of the blob flipped at `offset`. */
export function flipBitAt(offset: number): Fault {
  return ({ response, blob, range }) => {
    const wrong = Buffer.from(blob)
    if (offset >= 0 && offset < wrong.length) wrong[offset] = (wrong[offset] ?? 0) ^ 1
    answerRange(wrong, range, response)
  }
}

function rangeOf(request: IncomingMessage): Range {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  if (match === null) return { offset: 0, length: 0 }
  const offset = Number(match[1])
  return { offset, length: Number(match[2]) - offset + 1 }
}
