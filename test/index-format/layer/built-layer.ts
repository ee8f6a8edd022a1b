/** Builds layers from fixture members in memory. */
import { LayerBuilder, type LayerTree } from '../../../index-format/index.js'
import { chunksOf, type FixtureMember, tarOf } from '../tar/tar-fixture.js'
import { type Dump, dumpTree } from './tree-dump.js'

export interface BuiltLayer {
  readonly tree: LayerTree
  /** The content of all files, in the order in which it was spooled. */
  readonly spool: Buffer
  /** Closes the tree. */
  close(): void
}

export async function buildLayer(...members: readonly FixtureMember[]): Promise<BuiltLayer> {
  return buildArchive(chunksOf(tarOf(...members)))
}

/**
 * Builds a layer from an archive. The caller closes the layer. If this throws, nothing is left
 * open.
 */
export async function buildArchive(source: AsyncIterable<Uint8Array>): Promise<BuiltLayer> {
  const chunks: Uint8Array[] = []
  const builder = LayerBuilder.create({
    sink: {
      append(chunk): void {
        chunks.push(Buffer.from(chunk))
      },
    },
  })
  try {
    await builder.addArchive(source)
    const tree = builder.finish()
    return {
      tree,
      spool: Buffer.concat(chunks),
      close(): void {
        tree.close()
      },
    }
  } finally {
    builder.close()
  }
}

/** Builds, dumps and closes a layer. */
export async function dumpLayer(...members: readonly FixtureMember[]): Promise<Dump> {
  const layer = await buildLayer(...members)
  try {
    return dumpTree(layer.tree, (_ino, offset, length) =>
      layer.spool.subarray(offset, offset + length),
    )
  } finally {
    layer.close()
  }
}
