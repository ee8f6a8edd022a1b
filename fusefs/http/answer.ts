/** The answer to one HTTP request. */
import type { Dispatcher } from 'undici'
import { MAX_DISCARDED_BYTES } from './http-limits.js'

export class Answer {
  readonly status: number
  /** Who answered: the end of all redirects. */
  readonly url: URL
  readonly #response: Dispatcher.ResponseData

  constructor(url: URL, response: Dispatcher.ResponseData) {
    this.status = response.statusCode
    this.url = url
    this.#response = response
  }

  /** The first value of a header, by its lower-case name. */
  header(name: string): string | undefined {
    const value = this.#response.headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  /** To be read once, to its end or until the reader stops; or `discard` is called instead. */
  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of this.#response.body) {
      const bytes: unknown = piece
      if (!(bytes instanceof Uint8Array)) {
        throw new TypeError(`an HTTP body brought ${typeof bytes} instead of bytes`)
      }
      yield bytes
    }
  }

  /** Reads a short body away, so that its connection can be used again. Never fails. */
  async discard(): Promise<void> {
    await this.#response.body.dump({ limit: MAX_DISCARDED_BYTES }).catch(() => undefined)
  }
}
