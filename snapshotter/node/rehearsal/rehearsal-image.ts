/**
 * The smallest image that uses every part of the daemon. It has two files: one in a startup pack
 * with a plan, one in an ordinary pack that is fetched when the file is read. Its merged index is
 * embedded in the thin layer.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  bytesFromRecipe,
  bytesFromStartupPlan,
  type Digest,
  digestOf,
  EMBEDDED_INDEX_FILE_NAME,
  hexOf,
  type IndexRef,
  InlineCompressor,
  type PackTable,
  PackWriter,
  RECIPE_FILE_NAME,
  type Recipe,
  ROOT_INO,
  STARTUP_PLAN_FILE_NAME,
  writeIndex,
} from '../../../index-format/index.js'
import { RehearsalTree } from './rehearsal-tree.js'

export interface RehearsalImage {
  /** The files of the thin layer, by name. */
  readonly layer: ReadonlyMap<string, Uint8Array>
  /** The packs that the store holds. */
  readonly packs: readonly Digest[]
  /** The content of each file of the tree, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** More than two pages, because code handles the last, partial page of a file separately. */
const FILE_BYTES = 10_000
const LEVEL = 1
const STARTED_INO = ROOT_INO + 1

/**
 * Makes the image and writes its packs into `folder`, which is a store. Every image has random
 * content, so that no cache holds it yet.
 */
export async function makeRehearsalImage(
  folder: string,
  storeUrl: string,
): Promise<RehearsalImage> {
  const started = randomBytes(FILE_BYTES)
  const later = randomBytes(FILE_BYTES)
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true, mode: 0o700 })
  const compressor = new InlineCompressor()
  const packs = [
    await writePack(folder, started, compressor),
    await writePack(folder, later, compressor),
  ] as const
  const names = ['a', 'b'] as const
  const tree = new RehearsalTree(names.map((name, pack) => ({ name, sizeBytes: FILE_BYTES, pack })))
  const path = join(folder, 'index')
  const index = writeIndex(tree, { path, kind: 'merged', packs })
  const blob = await compressor.compress(await readFile(path), LEVEL)
  const plan = bytesFromStartupPlan({
    packs: [packs[0]],
    runs: [{ ino: STARTED_INO, offset: 0, length: FILE_BYTES }],
    paths: new Map([[STARTED_INO, Buffer.from(names[0])]]),
  })
  const indexRef: IndexRef = {
    digest: index.digest,
    sizeBytes: index.sizeBytes,
    blob: { digest: digestOf(blob), sizeBytes: blob.length },
    xattrs: false,
  }
  const recipe: Recipe = {
    version: '1.0',
    origin: 'rehearsal',
    layers: [{ digest: index.digest, url: { kind: 'thin', index: index.digest } }],
    thin: {
      version: 1,
      stores: [storeUrl],
      layers: [indexRef],
      merged: { ...indexRef, embedded: EMBEDDED_INDEX_FILE_NAME },
      startup: {
        plan: { file: STARTUP_PLAN_FILE_NAME, digest: digestOf(plan), sizeBytes: plan.length },
        packs: [{ digest: packs[0].digest, sizeBytes: packs[0].sizeBytes }],
      },
    },
  }
  return {
    layer: new Map([
      [RECIPE_FILE_NAME, bytesFromRecipe(recipe)],
      [EMBEDDED_INDEX_FILE_NAME, blob],
      [STARTUP_PLAN_FILE_NAME, plan],
    ]),
    packs: packs.map(({ digest }) => digest),
    files: new Map([
      [names[0], started],
      [names[1], later],
    ]),
  }
}

async function writePack(
  folder: string,
  raw: Uint8Array,
  compressor: InlineCompressor,
): Promise<PackTable> {
  const pieces: Uint8Array[] = []
  const sink = {
    write: (bytes: Uint8Array): Promise<void> => {
      pieces.push(bytes)
      return Promise.resolve()
    },
    finish: (table: PackTable): Promise<void> =>
      writeFile(join(folder, 'blobs', 'sha256', hexOf(table.digest)), Buffer.concat(pieces)),
    abort: (): Promise<void> => Promise.resolve(),
  }
  const writer = new PackWriter({ sink, compressor, level: LEVEL })
  await writer.add(raw, digestOf(raw))
  return writer.finish()
}
