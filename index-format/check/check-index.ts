/**
 * Offline verification of an index, and of its packs where they are at hand: everything that a
 * reader relies on without looking, and everything that a digest alone does not say. Findings stream;
 * memory is a few bytes for each inode.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Database as Connection } from 'better-sqlite3'
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { openConnection, readMeta, refusal } from '../index/connection.js'
import { CheckContext, finding } from './check-context.js'
import { checkExtents } from './check-extents.js'
import { checkInodes } from './check-inodes.js'
import { checkNames } from './check-names.js'
import { checkPackRows, checkPacks, checkUse, type OpenPack } from './check-packs.js'
import type { Finding } from './finding.js'

export interface CheckOptions {
  /** What the index goes by. Default: its digest is not looked at. */
  readonly digest?: Digest
  /** Default: pack files are not looked at. */
  readonly openPack?: OpenPack
  /** Looked at between the stages of the check and between packs. */
  readonly signal?: AbortSignal
}

const CACHE_BYTES = 16 * 1024 * 1024
const MAX_DAMAGED_PAGES = 100

/**
 * Checks the index file at `path`; gives nothing when all is well. Only a file that cannot be read at
 * all, or a failing `openPack`, throws; whatever is wrong inside is a finding.
 */
export async function* checkIndex(
  path: string,
  options: CheckOptions = {},
): AsyncGenerator<Finding> {
  if (options.digest !== undefined) yield* checkDigest(path, options.digest)
  let connection
  try {
    connection = openConnection(path, CACHE_BYTES)
    yield* checkDamage(connection)
    const context = new CheckContext(connection, readMeta(connection))
    yield* checkTables(context, options)
  } catch (cause) {
    const error = refusal(path, cause)
    if (!(error instanceof IndexFormatError)) throw error
    const code = error.code === 'unsupported-version' ? error.code : 'unreadable-index'
    yield finding(code, 'index', error.message)
  } finally {
    connection?.close()
  }
}

async function* checkTables(context: CheckContext, options: CheckOptions): AsyncGenerator<Finding> {
  const packs = new Map<number, number>()
  const used = new Set<number>()
  const stages = [
    () => checkInodes(context),
    () => checkNames(context),
    () => checkPackRows(context, packs),
    () => checkExtents(context, packs, used),
    () => checkUse(packs, used),
    () => checkPacks(context, options),
  ]
  for (const stage of stages) {
    options.signal?.throwIfAborted()
    yield* stage()
  }
}

async function* checkDigest(path: string, digest: Digest): AsyncGenerator<Finding> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) {
    if (chunk instanceof Uint8Array) hash.update(chunk)
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found !== digest) {
    yield finding('index-digest-mismatch', 'index', `the file is ${found}, expected ${digest}`)
  }
}

/** SQLite's own check of its pages, and of the types and uniqueness that STRICT and keys promise. */
function* checkDamage(connection: Connection): Generator<Finding> {
  const rows = connection.prepare<[]>(`PRAGMA integrity_check(${MAX_DAMAGED_PAGES})`).pluck().all()
  for (const row of rows) {
    if (row !== 'ok') yield finding('damaged-page', 'index', String(row).slice(0, 300))
  }
}
