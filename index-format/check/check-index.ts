/**
 * Offline verification of an index, and of its packs if they are available. It checks everything
 * that a reader relies on without a check, and everything that a digest alone does not prove.
 * Findings are streamed. Memory is a few bytes for each inode.
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
  /** The expected digest of the index file. Default: the digest is not checked. */
  readonly digest?: Digest
  /** Opens the file of a pack. Default: pack files are not checked. */
  readonly openPack?: OpenPack
  /** Checked between the stages of the verification and between packs. */
  readonly signal?: AbortSignal
}

const CACHE_BYTES = 16 * 1024 * 1024
const MAX_DAMAGED_PAGES = 100

/**
 * Verifies the index file at `path`. Yields a finding for everything that is wrong with its
 * content, and nothing for a correct file. Throws only if the file cannot be read, `openPack` fails
 * or the signal is aborted.
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

/** SQLite's own check of its pages, and of types and uniqueness as STRICT and keys promise. */
function* checkDamage(connection: Connection): Generator<Finding> {
  const rows = connection.prepare<[]>(`PRAGMA integrity_check(${MAX_DAMAGED_PAGES})`).pluck().all()
  for (const row of rows) {
    if (row !== 'ok') yield finding('damaged-page', 'index', String(row).slice(0, 300))
  }
}
