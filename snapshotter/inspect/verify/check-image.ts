/**
 * Checks a thin image without its original: every index in each place that has it, and every pack
 * that the indexes name. It cannot tell whether the image equals its original; `verify` can.
 */
import { mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FusefsError } from '../../../fusefs/index.js'
import {
  checkIndex,
  type Finding,
  Index,
  INDEX_PAGE_BYTES,
  IndexFormatError,
  type IndexRef,
  startupPagesFromBytes,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { IndexOrigin, ThinImage } from '../thin-image.js'
import { readLayerFile } from '../../images/layer-file.js'
import { packsFromStore } from './pack-opener.js'
import { StoredTree } from './stored-tree.js'

export interface CheckImageOptions {
  readonly thin: ThinImage
  readonly tempFolder: string
  /** Whether packs are fetched and checked. */
  readonly packs: boolean
}

/** A finding, with the tree that it concerns in `where`. */
export interface ImageFinding extends Omit<Finding, 'code'> {
  readonly code: Finding['code'] | 'missing-index' | 'wrong-startup-pages'
}

/** Yields every fault of the trees of a thin image. Throws if a store cannot be reached. */
export async function* checkImage(
  options: CheckImageOptions,
  signal: AbortSignal,
): AsyncGenerator<ImageFinding> {
  const { thin } = options
  const { layers = [], merged } = thin.recipe.thin ?? {}
  const checkedPacks = new Set<string>()
  const trees: [string, IndexRef][] = layers.flatMap((ref, number) =>
    ref === null ? [] : [[`layer ${number}`, ref]],
  )
  if (merged !== undefined) trees.push(['merged tree', merged])
  for (const [name, ref] of trees) {
    for (const origin of thin.originsOf(ref)) {
      const where = origin === 'embedded' ? `${name} in the image` : name
      const index = await openIndex(thin, ref, origin, signal)
      if (!(index instanceof Index)) {
        yield { ...index, where }
        continue
      }
      // The copy in the image has been checked already. Both copies have the same digest.
      if (origin === 'store' && ref.embedded !== undefined) continue
      yield* prefixed(where, checkTree(index, options, checkedPacks, signal))
      if (ref === merged) yield* checkStartupPages(thin, index)
    }
  }
}

/** Checks that the startup pages in the image are pages of the merged index. */
async function* checkStartupPages(
  { recipe, files }: ThinImage,
  { path }: Index,
): AsyncGenerator<ImageFinding> {
  const pages = recipe.thin?.startup?.pages
  if (pages === undefined) return
  const where = `startup pages in the image, file ${pages.file}`
  const code = 'wrong-startup-pages'
  const file = files.get(pages.file)
  if (file === undefined) {
    yield { code, where, detail: 'the recipe names it, and it is not there' }
    return
  }
  try {
    const whole = await readFile(path)
    const { numbers, bytes } = startupPagesFromBytes(readLayerFile(pages, file), whole.length)
    for (const [at, number] of numbers.entries()) {
      const page = bytes.subarray(at * INDEX_PAGE_BYTES, (at + 1) * INDEX_PAGE_BYTES)
      if (whole.subarray((number - 1) * INDEX_PAGE_BYTES, number * INDEX_PAGE_BYTES).equals(page))
        continue
      yield { code, where: `${where}, page ${number}`, detail: 'is not the page of the index' }
    }
  } catch (error) {
    if (!(error instanceof IndexFormatError) && !isInvalidContent(error)) throw error
    yield { code, where, detail: error.message }
  }
}

function isInvalidContent(error: unknown): error is SnapshotterError {
  return error instanceof SnapshotterError && error.code === 'invalid-content'
}

async function* checkTree(
  index: Index,
  { packs: wantsPacks, tempFolder, thin }: CheckImageOptions,
  checkedPacks: Set<string>,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const isNew = wantsPacks && !areAllChecked(index, thin, checkedPacks)
  if (!isNew) {
    yield* checkIndex(index.path, { signal })
    return
  }
  const folder = await mkdtemp(join(tempFolder, 'check-'))
  const files = packsFromStore({ index, store: thin.store, tempFolder: folder }, signal)
  try {
    yield* checkIndex(index.path, { openPack: (digest) => files.open(digest), signal })
  } finally {
    await files.close()
  }
}

/**
 * Adds the packs of `index` to `checkedPacks`. Returns true if all of them, with the same frames,
 * were in it before.
 */
function areAllChecked(index: Index, thin: ThinImage, checkedPacks: Set<string>): boolean {
  const tree = new StoredTree({ index, source: thin.store })
  const before = checkedPacks.size
  for (const { key } of index.packs()) checkedPacks.add(tree.packIdentity(key))
  return checkedPacks.size === before
}

async function openIndex(
  thin: ThinImage,
  ref: IndexRef,
  origin: IndexOrigin,
  signal: AbortSignal,
): Promise<Index | Omit<ImageFinding, 'where'>> {
  try {
    return await thin.index(ref, origin, signal)
  } catch (error) {
    const code = indexFailure(error)
    if (code === undefined || !(error instanceof Error)) throw error
    return { code, detail: error.message }
  }
}

/**
 * The finding that an error about an index stands for. Undefined if the error says nothing about
 * the index, as when a store could not be reached.
 */
export function indexFailure(error: unknown): 'missing-index' | 'unreadable-index' | undefined {
  if (!(error instanceof Error)) return undefined
  const { cause } = error
  if (cause instanceof FusefsError && cause.code === 'blob-not-found') return 'missing-index'
  if (cause instanceof FusefsError && cause.code === 'truncated-answer') return 'unreadable-index'
  if (error instanceof SnapshotterError) {
    return error.code === 'invalid-content' ? 'unreadable-index' : undefined
  }
  return error instanceof IndexFormatError ? 'unreadable-index' : undefined
}

async function* prefixed(
  tree: string,
  findings: AsyncIterable<Finding>,
): AsyncGenerator<ImageFinding> {
  for await (const finding of findings) yield { ...finding, where: `${tree}, ${finding.where}` }
}
