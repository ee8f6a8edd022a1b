/**
 * The keys under which the publisher's database records indexes. A key is a digest of everything
 * that determines the index. It includes the version of the format, so that a new format does not
 * find old indexes.
 */
import { type Digest, digestOf } from '../../../index-format/index.js'

/**
 * Version of index and pack format together. It is raised whenever the same layer would give
 * another index.
 */
const FORMAT = 1

/**
 * The key of one layer's index. `lower` is the chain ID of the layers below (OCI image-spec,
 * config.md), or `bottom` if there are none. Pass `undefined` if the index does not depend on the
 * layers below, because the layer's archive names every directory that it writes into.
 */
export function layerIndexKey(diffId: Digest, lower: Digest | 'bottom' | undefined): Digest {
  return keyOf(`layer ${diffId} above ${lower ?? 'anything'}`)
}

/** The chain ID of a layer on top of `lower`. */
export function chainIdOf(lower: Digest | 'bottom', diffId: Digest): Digest {
  return lower === 'bottom' ? diffId : digestOf(Buffer.from(`${lower} ${diffId}`))
}

/** The key of the merged index of layers with these indexes, bottom first. */
export function mergedIndexKey(layerIndexes: readonly Digest[]): Digest {
  return keyOf(`merged ${layerIndexes.join(' ')}`)
}

function keyOf(text: string): Digest {
  return digestOf(Buffer.from(`thin format ${FORMAT} ${text}`))
}
