/** Reads keys from a TOML document and collects every fault of the document. */
import type { Key } from './key.js'

/** Longest value that an error message repeats. */
const MAX_SHOWN_LENGTH = 80

export class TableReader {
  /** One sentence for each fault, in the order in which the reader met them. */
  readonly problems: string[]
  readonly #table: Readonly<Record<string, unknown>>
  /** Text before a key in error messages, for example `registry."host".`. */
  readonly #prefix: string
  readonly #read = new Set<string>()

  constructor(table: Readonly<Record<string, unknown>>, prefix = '', problems: string[] = []) {
    this.#table = table
    this.#prefix = prefix
    this.problems = problems
  }

  /**
   * The value of a key, or its default if the key is absent. Adds a problem if the value is not
   * accepted, or if an absent key has no default. The result is then meaningless.
   */
  get<T>(key: Key<T>): T {
    this.#read.add(key.path)
    const given = this.#valueAt(key.path)
    const result = key.parse(given ?? key.fallback)
    if (result !== undefined) return result.value
    if (given === undefined) this.problem(key.path, `is missing; expected ${key.type}`)
    else this.problem(key.path, `${shown(given)} is not a value it takes; expected ${key.type}`)
    return this.#anything(key)
  }

  /** Readers of the tables `[[name]]`; empty if the document has none. */
  tables(name: string): TableReader[] {
    this.#read.add(name)
    const given = this.#valueAt(name)
    if (given === undefined) return []
    const tables = Array.isArray(given) ? given.filter(isTable) : []
    if (!Array.isArray(given) || tables.length < given.length) {
      this.problem(name, `is not a list of tables; write [[${name}]]`)
    }
    return tables.map((table, i) => this.#inner(table, `${name}[${i}].`))
  }

  /** Readers of the tables `[name."anything"]`, by `anything`; empty if the document has none. */
  namedTables(name: string): Map<string, TableReader> {
    this.#read.add(name)
    const given = this.#valueAt(name)
    const readers = new Map<string, TableReader>()
    if (given === undefined) return readers
    if (!isTable(given)) this.problem(name, `is not a table; write [${name}."host"]`)
    else {
      for (const [inner, table] of Object.entries(given)) {
        const path = `${name}."${inner}"`
        if (isTable(table)) readers.set(inner, this.#inner(table, `${path}.`))
        else this.problem(path, `is not a table; write [${path}]`)
      }
    }
    return readers
  }

  problem(path: string, text: string): void {
    this.problems.push(`${this.#prefix}${path}: ${text}`)
  }

  /** Adds a problem for every key that was not read. Call it last. */
  reportUnknown(): void {
    this.#reportUnknownIn(this.#table, '')
  }

  #reportUnknownIn(table: Readonly<Record<string, unknown>>, parent: string): void {
    for (const [name, value] of Object.entries(table)) {
      const path = `${parent}${name}`
      if (this.#read.has(path)) continue
      const isParent = [...this.#read].some((known) => known.startsWith(`${path}.`))
      if (!isParent) this.problem(path, `is not a key${this.#suggestion(path)}`)
      else if (isTable(value)) this.#reportUnknownIn(value, `${path}.`)
      else this.problem(path, `is not a table; write [${path}]`)
    }
  }

  #suggestion(path: string): string {
    const last = lastPart(path)
    const candidates = new Set([...this.#read].flatMap((known) => [known, firstPart(known)]))
    let best: { known: string; distance: number } | undefined
    for (const known of candidates) {
      // A right name in the wrong table is as likely as a typing error in the right table.
      const whole = editDistance(known, path)
      const distance = Math.min(whole, distanceOfNames(lastPart(known), last) + 0.5)
      if (best === undefined || distance < best.distance) best = { known, distance }
    }
    const tolerated = Math.max(2, last.length / 3)
    if (best === undefined || best.distance > tolerated) return ''
    return `; did you mean ${this.#prefix}${best.known}?`
  }

  #inner(table: Readonly<Record<string, unknown>>, prefix: string): TableReader {
    return new TableReader(table, `${this.#prefix}${prefix}`, this.problems)
  }

  #valueAt(path: string): unknown {
    let value: unknown = this.#table
    for (const name of path.split('.')) {
      if (!isTable(value) || !Object.hasOwn(value, name)) return undefined
      value = value[name]
    }
    return value
  }

  /**
   * A stand-in for a value that cannot be read. No configuration contains it, because a document
   * with problems is refused.
   */
  #anything<T>(key: Key<T>): T {
    return key.parse(key.fallback)?.value as T
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  )
}

function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text
}

function firstPart(path: string): string {
  return path.split('.', 1)[0] ?? path
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

/**
 * Like `editDistance`, but a name that is a beginning of the known name is near, however much is
 * missing.
 */
function distanceOfNames(known: string, name: string): number {
  return name.length >= 3 && known.startsWith(name) ? 1 : editDistance(known, name)
}

/** Levenshtein distance: insertions, deletions and substitutions from one text to the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_unused, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
