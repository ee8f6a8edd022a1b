/** Checks the packs that an index lists, their frames, and the pack files if they are available. */
import { type Digest, digestFromBytes } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { type PackRef, packRefFromRow, packTableFromRows } from '../index/pack-rows.js'
import { MAX_FRAMES_PER_PACK } from '../limits.js'
import { PackReader } from '../pack/pack-reader.js'
import type { PackTable } from '../pack/pack-table.js'
import type { RandomAccess } from '../random-access.js'
import { type CheckContext, finding, parsed } from './check-context.js'
import { compared } from './check-inodes.js'
import type { Finding } from './finding.js'

/** Opens the file of a pack. Returns `undefined` if the store does not have it. */
export type OpenPack = (
  digest: Digest,
) => RandomAccess | undefined | Promise<RandomAccess | undefined>

/** Checks the rows of packs. Fills `packs` with the raw size of each by key, for other checks. */
export function* checkPackRows(
  context: CheckContext,
  packs: Map<number, number>,
): Generator<Finding> {
  let count = 0
  for (const row of context.rows('SELECT key,digest,size,raw_size FROM pack ORDER BY key')) {
    count++
    const result = parsed(`pack ${String(row[0])}`, () => packRefFromRow(row))
    if ('code' in result) yield result
    else packs.set(result.value.key, result.value.rawSizeBytes)
  }
  yield* compared('packs', context.meta.packs, count)
  yield* compared('frames', context.meta.frames, context.count('SELECT count(*) FROM frame'))
  const twice = 'SELECT digest,count(*) FROM pack GROUP BY digest HAVING count(*)>1'
  for (const [digest, times] of context.rows(twice)) {
    const name =
      digest instanceof Uint8Array && digest.length === 32 ? digestFromBytes(digest) : '?'
    yield finding('duplicate-pack', `pack ${name}`, `is listed ${String(times)} times`)
  }
  const lost = 'SELECT DISTINCT pack FROM frame WHERE pack NOT IN (SELECT key FROM pack)'
  for (const [key] of context.rows(lost)) {
    yield finding('dangling-frame', `frame ${String(key)}`, 'there is no such pack')
  }
}

/** Finds packs that no extent uses. */
export function* checkUse(
  packs: ReadonlyMap<number, number>,
  used: ReadonlySet<number>,
): Generator<Finding> {
  for (const key of packs.keys()) {
    if (!used.has(key)) yield finding('unused-pack', `pack ${key}`, 'no extent refers to it')
  }
}

/** Checks each pack's frames and, with `openPack`, its file: digest, table and every frame. */
export async function* checkPacks(
  context: CheckContext,
  options: { readonly openPack?: OpenPack; readonly signal?: AbortSignal },
): AsyncGenerator<Finding> {
  const { openPack, signal } = options
  const refs: PackRef[] = []
  for (const row of context.rows('SELECT key,digest,size,raw_size FROM pack ORDER BY key')) {
    const result = parsed('', () => packRefFromRow(row))
    if (!('code' in result)) refs.push(result.value)
  }
  for (const pack of refs) {
    signal?.throwIfAborted()
    const rows = context.rows(
      'SELECT raw_offset,raw_size,offset,size,digest FROM frame WHERE pack=? ORDER BY raw_offset ' +
        `LIMIT ${MAX_FRAMES_PER_PACK + 1}`,
      pack.key,
    )
    const result = parsed(`pack ${pack.key}`, () => packTableFromRows(pack, [...rows]))
    if ('code' in result) {
      yield { ...result, code: 'frame-gap' }
    } else if (openPack !== undefined) {
      yield* checkPackFile(result.value, await openPack(pack.digest))
    }
  }
}

function* checkPackFile(table: PackTable, file: RandomAccess | undefined): Generator<Finding> {
  const where = `pack ${table.digest}`
  if (file === undefined) {
    yield finding('missing-pack', where, 'the store does not have it')
    return
  }
  if (file.sizeBytes !== table.sizeBytes) {
    const detail = `the file has ${file.sizeBytes} bytes, the index says ${table.sizeBytes}`
    yield finding('pack-size-mismatch', where, detail)
  }
  const opened = attempt(() => PackReader.open(file, table.digest))
  if (opened instanceof IndexFormatError) {
    yield finding('invalid-pack-table', where, opened.message)
    return
  }
  const mismatch = attempt(() => {
    opened.verifyDigest()
  })
  if (mismatch instanceof IndexFormatError) {
    yield finding('pack-digest-mismatch', where, mismatch.message)
  }
  yield* compareTables(table, opened.table)
  for (let at = 0; at < opened.table.frames.length; at++) {
    const result = attempt(() => opened.readFrame(at))
    if (!(result instanceof IndexFormatError)) continue
    const code = result.code === 'digest-mismatch' ? 'frame-digest-mismatch' : 'invalid-frame'
    yield finding(code, `${where} frame ${at}`, result.message)
  }
}

function* compareTables(inIndex: PackTable, inFile: PackTable): Generator<Finding> {
  const where = `pack ${inIndex.digest}`
  if (inIndex.frames.length !== inFile.frames.length) {
    const detail = `${inFile.frames.length} frames in the file, ${inIndex.frames.length} in the index`
    yield finding('pack-table-mismatch', where, detail)
    return
  }
  for (const [at, frame] of inIndex.frames.entries()) {
    const other = inFile.frames[at]
    const same =
      frame.sizeBytes === other?.sizeBytes &&
      frame.rawSizeBytes === other.rawSizeBytes &&
      frame.digest === other.digest
    if (!same) {
      yield finding('pack-table-mismatch', `${where} frame ${at}`, 'differs between file and index')
    }
  }
}

function attempt<Value>(action: () => Value): Value | IndexFormatError {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof IndexFormatError) return cause
    throw cause
  }
}
