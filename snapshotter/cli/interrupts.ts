/** Ctrl-C as an answer, one after the other: where a command asks a person to say when. */

const NAMES = ['SIGINT', 'SIGTERM'] as const

export class Interrupts {
  #next = new AbortController()
  readonly #receive = (): void => {
    this.#next.abort()
  }

  private constructor() {
    for (const name of NAMES) process.on(name, this.#receive)
  }

  /** From now on, until `close`, these signals do not end the process. The caller closes it. */
  static listen(): Interrupts {
    return new Interrupts()
  }

  /** Aborted by the next one; those before do not count. */
  next(): AbortSignal {
    this.#next = new AbortController()
    return this.#next.signal
  }

  /** Idempotent. */
  close(): void {
    for (const name of NAMES) process.off(name, this.#receive)
  }
}
