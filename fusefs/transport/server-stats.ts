/**
 * Counters in shared memory. Every writer has a row of its own, so that counting needs no atomics.
 * A reader sums the rows and may be one request behind.
 */
import { FusefsError } from '../errors.js'
import { OPCODE_LIMIT, opcodeName, OPCODES, type OpcodeName } from '../wire/opcodes.js'

/** Column of requests with an opcode that this build does not know. No request has opcode 0. */
const OTHER = 0
/** The column of each opcode below `OPCODE_LIMIT`. */
const COLUMN_OF_OPCODE = Uint8Array.from({ length: OPCODE_LIMIT }, (_, opcode) =>
  opcodeName(opcode) === undefined ? OTHER : opcode,
)
/** Columns after those of the opcodes. */
const BYTES_READ = OPCODE_LIMIT
const MISSES = OPCODE_LIMIT + 1
const ERRORS = OPCODE_LIMIT + 2
const FAULTS = OPCODE_LIMIT + 3
const BYTES_STORED = OPCODE_LIMIT + 4
const REFUSED = OPCODE_LIMIT + 5
const COLUMNS = OPCODE_LIMIT + 6

export interface ServerCounts {
  /** Requests by opcode. Opcodes that this build does not know count as `other`. */
  readonly requests: Readonly<Partial<Record<OpcodeName | 'other', number>>>
  /** Bytes sent in answers to READ. */
  readonly bytesRead: number
  /** Bytes stored in the kernel's page cache before they were read. */
  readonly bytesStored: number
  /** Requests that had to wait for content or for the rest of an index. */
  readonly misses: number
  /** Replies with an errno that a healthy mount does not give, such as EIO, ESTALE and EINVAL. */
  readonly errors: number
  /**
   * Replies with an errno because of an index, a store or a bug. Faults of one kind are logged once
   * a minute for each tree.
   */
  readonly faults: number
  /** Requests answered EIO because too many waited already. They also count as faults. */
  readonly refused: number
}

/**
 * Reads `ServerCounts` out of JSON. Opcodes of another build are left out. `refused` is 0 if it is
 * missing, because older builds do not count it. Throws `invalid-argument`.
 */
export function serverCountsFromJson(value: unknown): ServerCounts {
  const counts = recordOf(value, 'counts')
  const requests = recordOf(counts['requests'], 'requests')
  const known: Partial<Record<OpcodeName | 'other', number>> = {}
  for (const name of [...(Object.keys(OPCODES) as OpcodeName[]), 'other' as const]) {
    if (Object.hasOwn(requests, name)) known[name] = countIn(requests, name)
  }
  return {
    requests: known,
    bytesRead: countIn(counts, 'bytesRead'),
    bytesStored: countIn(counts, 'bytesStored'),
    misses: countIn(counts, 'misses'),
    errors: countIn(counts, 'errors'),
    faults: countIn(counts, 'faults'),
    refused: Object.hasOwn(counts, 'refused') ? countIn(counts, 'refused') : 0,
  }
}

function recordOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new FusefsError('invalid-argument', `counters of a server: ${name} must be an object`)
}

function countIn(record: Readonly<Record<string, unknown>>, name: string): number {
  const count = record[name]
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count
  throw new FusefsError('invalid-argument', `counters of a server: ${name} must be a count`)
}

/** The row of one writer. */
export class StatsRow {
  readonly #row: Float64Array

  constructor(shared: SharedArrayBuffer, row: number) {
    this.#row = new Float64Array(shared, row * COLUMNS * 8, COLUMNS)
  }

  countRequest(opcode: number): void {
    this.#add(COLUMN_OF_OPCODE[opcode] ?? OTHER, 1)
  }

  countBytesRead(sizeBytes: number): void {
    this.#add(BYTES_READ, sizeBytes)
  }

  countBytesStored(sizeBytes: number): void {
    this.#add(BYTES_STORED, sizeBytes)
  }

  countMiss(): void {
    this.#add(MISSES, 1)
  }

  countError(): void {
    this.#add(ERRORS, 1)
  }

  countFault(): void {
    this.#add(FAULTS, 1)
  }

  countRefused(): void {
    this.#add(REFUSED, 1)
  }

  #add(column: number, count: number): void {
    this.#row[column] = (this.#row[column] ?? 0) + count
  }
}

/** The counters of one server. Row 0 is the server's own, the others are its dispatchers'. */
export class ServerStats {
  readonly shared: SharedArrayBuffer
  readonly #rows: number

  /** `dispatchers`: number of rows in addition to row 0. */
  constructor(dispatchers: number) {
    this.#rows = dispatchers + 1
    this.shared = new SharedArrayBuffer(this.#rows * COLUMNS * 8)
  }

  counts(): ServerCounts {
    const requests: Partial<Record<OpcodeName | 'other', number>> = {}
    for (const name of Object.keys(OPCODES) as OpcodeName[]) {
      const count = this.#sum(OPCODES[name])
      if (count > 0) requests[name] = count
    }
    const other = this.#sum(OTHER)
    if (other > 0) requests.other = other
    return {
      requests,
      bytesRead: this.#sum(BYTES_READ),
      bytesStored: this.#sum(BYTES_STORED),
      misses: this.#sum(MISSES),
      errors: this.#sum(ERRORS),
      faults: this.#sum(FAULTS),
      refused: this.#sum(REFUSED),
    }
  }

  #sum(column: number): number {
    const all = new Float64Array(this.shared)
    let sum = 0
    for (let row = 0; row < this.#rows; row++) sum += all[row * COLUMNS + column] ?? 0
    return sum
  }
}
