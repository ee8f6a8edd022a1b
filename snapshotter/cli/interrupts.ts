/** Ctrl-C as input: a person presses it to say when the command shall go on. */

const NAMES = ['SIGINT', 'SIGTERM'] as const

export class Interrupts {
  #next = new AbortController()
  readonly #receive = (): void => {
    this.#next.abort()
  }

  private constructor() {
    for (const name of NAMES) process.on(name, this.#receive)
  }

  /** Until `close`, SIGINT and SIGTERM do not end the process. The caller closes it. */
  static listen(): Interrupts {
    return new Interrupts()
  }

  /** A signal that aborts at the next interrupt. It replaces the one of the call before. */
  next(): AbortSignal {
    this.#next = new AbortController()
    return this.#next.signal
  }

  /** Idempotent. */
  close(): void {
    for (const name of NAMES) process.off(name, this.#receive)
  }
}
