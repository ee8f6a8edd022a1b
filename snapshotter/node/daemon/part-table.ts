/**
 * A table of parts that are opened from top to bottom and closed from bottom to top. A row sees the
 * parts of the rows above it; the types allow no other order.
 */
import type { Logger } from 'pino'

/** Takes down what a row has made. */
interface Closer {
  readonly row: string
  readonly close: () => unknown
}

/** Opens the rows from the top and notes their closers in the same order. */
type OpenRows<Base, Parts> = (base: Base, closers: Closer[]) => Promise<Parts>

/** All parts of a table that is open. */
export interface OpenedParts<Parts> {
  readonly parts: Parts
  /** Closes all parts, the last opened first. A part that does not close is logged. Idempotent. */
  readonly close: () => Promise<void>
}

export class PartTable<Base extends object, Parts extends object> {
  readonly #openRows: OpenRows<Base, Parts>

  private constructor(openRows: OpenRows<Base, Parts>) {
    this.#openRows = openRows
  }

  /** A table without rows. Its rows may use what is in `Base`. */
  static over<Base extends object>(): PartTable<Base, Base> {
    return new PartTable<Base, Base>((base) => Promise.resolve(base))
  }

  /**
   * The table with one more row. `open` makes one part, or a few that belong together, as an object
   * whose keys are their names. `close` takes them down; a row that holds nothing has none.
   */
  row<Made extends object>(
    name: string,
    open: (parts: Parts) => Made | Promise<Made>,
    close?: (made: Made) => unknown,
  ): PartTable<Base, Parts & Made> {
    return new PartTable<Base, Parts & Made>(async (base, closers) => {
      const above = await this.#openRows(base, closers)
      const made = await open(above)
      if (close !== undefined) closers.push({ row: name, close: () => close(made) })
      return { ...above, ...made }
    })
  }

  /** Opens every row. When one fails, the rows above are closed again and its error is thrown. */
  async open(base: Base, modules: { log: Logger }): Promise<OpenedParts<Parts>> {
    const closers: Closer[] = []
    const close = async (): Promise<void> => {
      for (const closer of closers.splice(0).reverse()) {
        try {
          await closer.close()
        } catch (error) {
          modules.log.error({ err: error, part: closer.row }, 'a part did not close in order')
        }
      }
    }
    try {
      return { parts: await this.#openRows(base, closers), close }
    } catch (error) {
      await close()
      throw error
    }
  }
}
