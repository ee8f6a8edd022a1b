/**
 * Publishes a layer into a folder: packs and compressed index as blobs, and the index file beside
 * them. `thinctl convert` does the same for whole images.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compress } from 'zstd-napi'
import {
  type Digest,
  digestOf,
  hexOf,
  type IndexRef,
  InlineCompressor,
  packFiles,
  packInputsOf,
  type PackSink,
  writeIndex,
} from '../../../index-format/index.js'
import { type BuiltLayer, buildLayer } from '../../index-format/layer/built-layer.js'
import { accessOf } from '../../index-format/pack/buffer-access.js'
import type { FixtureMember } from '../../index-format/tar/tar-fixture.js'

export interface PublishedTree {
  /** The layer itself. The caller closes it with `layer.close`. */
  readonly layer: BuiltLayer
  /** The store's folder. */
  readonly folder: string
  readonly storeUrl: string
  readonly indexPath: string
  readonly ref: IndexRef
  readonly packs: readonly Digest[]
}

/** Publishes a layer of `members` into `folder`, which is created. */
export async function publishTree(
  folder: string,
  members: readonly FixtureMember[],
): Promise<PublishedTree> {
  const blobs = join(folder, 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  const layer = await buildLayer(...members)
  const { spool, tree } = layer
  const compressor = new InlineCompressor()
  const digestOfFile = (ino: number): Digest => tree.contentDigest(ino) ?? digestOf(Buffer.alloc(0))
  const packed = await packFiles({
    files: packInputsOf(tree, digestOfFile),
    spool: accessOf(spool),
    compressor,
    level: 3,
    openPack: () => packInto(blobs),
  })
  await compressor.close()
  const indexPath = join(folder, 'index')
  const written = writeIndex(tree, {
    path: indexPath,
    kind: 'layer',
    packs: packed.packs,
    extentsOf: (ino) => packed.extentsOf(ino),
  })
  const compressed = compress(readFileSync(indexPath))
  const blob = { digest: digestOf(compressed), sizeBytes: compressed.length }
  writeFileSync(join(blobs, hexOf(blob.digest)), compressed)
  const { digest, meta, sizeBytes } = written
  return {
    layer,
    folder,
    storeUrl: pathToFileURL(folder).href,
    indexPath,
    ref: { digest, sizeBytes, blob, xattrs: meta.xattrs },
    packs: packed.packs.map((pack) => pack.digest),
  }
}

/** Path of a blob in the store's folder. */
export function blobFile(folder: string, digest: Digest): string {
  return join(folder, 'blobs', 'sha256', hexOf(digest))
}

function packInto(blobs: string): PackSink {
  const chunks: Uint8Array[] = []
  return {
    write: (bytes) => {
      chunks.push(bytes)
      return Promise.resolve()
    },
    finish: (table) => {
      writeFileSync(join(blobs, hexOf(table.digest)), Buffer.concat(chunks))
      return Promise.resolve()
    },
    abort: () => Promise.resolve(),
  }
}
