/** Shared by the checks of one index: the connection, and the finding for a row that is invalid. */
import type { Database as Connection } from 'better-sqlite3'
import { IndexFormatError } from '../errors.js'
import type { IndexMeta } from '../index/index-meta.js'
import type { Finding, FindingCode } from './finding.js'

export type Row = readonly unknown[]

export class CheckContext {
  readonly meta: IndexMeta
  readonly #connection: Connection

  constructor(connection: Connection, meta: IndexMeta) {
    this.#connection = connection
    this.meta = meta
  }

  /** Streams the rows of a query. */
  rows(sql: string, ...values: unknown[]): IterableIterator<Row> {
    return this.#connection
      .prepare<unknown[], Row>(sql)
      .raw()
      .iterate(...values)
  }

  /** The first column of the first row as a number; 0 if it is not a number or there is no row. */
  count(sql: string): number {
    const value = this.#connection.prepare<[]>(sql).pluck().get()
    return typeof value === 'number' ? value : 0
  }
}

export function finding(code: FindingCode, where: string, detail: string): Finding {
  return { code, where, detail }
}

/** The result of `parse`, or a finding `invalid-row` if it throws an `IndexFormatError`. */
export function parsed<Value>(where: string, parse: () => Value): { value: Value } | Finding {
  try {
    return { value: parse() }
  } catch (cause) {
    if (cause instanceof IndexFormatError) return finding('invalid-row', where, cause.message)
    throw cause
  }
}
