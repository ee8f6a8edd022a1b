/**
 * An HTTP server on loopback. It answers each request with the next function of a list. The last
 * function also answers all further requests.
 */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'

export class FaultyServer {
  readonly requests: { method: string; url: string; authorization: string | undefined }[] = []
  readonly #server: Server
  readonly #answers: RequestListener[]

  private constructor(answers: RequestListener[]) {
    this.#answers = answers
    this.#server = createServer((request, response) => {
      const { method = '', url = '', headers } = request
      this.requests.push({ method, url, authorization: headers.authorization })
      const answer = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]
      answer?.(request, response)
    })
  }

  static async start(...answers: RequestListener[]): Promise<FaultyServer> {
    const server = new FaultyServer(answers)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get origin(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the server is not up')
    return `http://127.0.0.1:${address.port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** Answers with a status, headers and a short body. */
export function answer(
  status: number,
  headers: Record<string, string> = {},
  body = 'no content here',
): RequestListener {
  return (_request, response) => {
    response.writeHead(status, headers).end(body)
  }
}

/** Ends the connection without an answer. */
export const hangUp: RequestListener = (request) => {
  request.socket.destroy()
}

/** Sends no answer and leaves the connection open. */
export const neverAnswer: RequestListener = () => undefined

/** Announces 100 bytes, sends fewer, and ends the connection. */
export const breakOff: RequestListener = (request, response) => {
  response.writeHead(200, { 'content-length': 100 })
  response.write('only so much', () => {
    setImmediate(() => request.socket.destroy())
  })
}
