/**
 * What determines an index, as one digest: the key under which the publisher's database remembers
 * it. The version of the format is part of it, so that a new format finds nothing old.
 */
import { type Digest, digestOf } from '../../../index-format/index.js'

/** Of index and pack format together; raised whenever the same layer gives another index. */
const FORMAT = 1

/**
 * The index of one layer. `lower` is the chain ID of the layers below (OCI image-spec, config.md),
 * `bottom` where there is none; `undefined` for a layer whose index does not depend on them, because
 * its archive names every directory it writes into.
 */
export function layerIndexKey(diffId: Digest, lower: Digest | 'bottom' | undefined): Digest {
  return keyOf(`layer ${diffId} above ${lower ?? 'anything'}`)
}

/** The chain ID of a layer on top of `lower`. */
export function chainIdOf(lower: Digest | 'bottom', diffId: Digest): Digest {
  return lower === 'bottom' ? diffId : digestOf(Buffer.from(`${lower} ${diffId}`))
}

/** The merged index of the layers that have these indexes, bottom first. */
export function mergedIndexKey(layerIndexes: readonly Digest[]): Digest {
  return keyOf(`merged ${layerIndexes.join(' ')}`)
}

function keyOf(text: string): Digest {
  return digestOf(Buffer.from(`thin format ${FORMAT} ${text}`))
}
