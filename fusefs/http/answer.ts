/** The answer to one HTTP request. */
import type { Dispatcher } from 'undici'
import { MAX_DISCARDED_BYTES } from './http-limits.js'

export class Answer {
  readonly status: number
  /** The URL that answered, after all redirects. */
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

  /**
   * The bytes of the body. The caller either iterates once, to the end or until it stops, or calls
   * `discard` instead. Throws undici's errors.
   */
  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of this.#response.body) {
      const bytes: unknown = piece
      if (!(bytes instanceof Uint8Array)) {
        throw new TypeError(`an HTTP body brought ${typeof bytes} instead of bytes`)
      }
      yield bytes
    }
  }

  /**
   * Reads and drops a body of up to `MAX_DISCARDED_BYTES`, so that its connection can be used
   * again. Never rejects.
   */
  async discard(): Promise<void> {
    await this.#response.body.dump({ limit: MAX_DISCARDED_BYTES }).catch(() => undefined)
  }
}
