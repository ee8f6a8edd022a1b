/**
 * A layer after download and before packing: its tree in a temporary database, its files' contents
 * in a spool. Both digests of the layer, compressed and uncompressed, have been checked.
 */
import { createHash } from 'node:crypto'
import {
  type Digest,
  IndexFormatError,
  LayerBuilder,
  type LayerTree,
  decompress,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { ImageSource } from '../../images/index.js'
import type { Descriptor } from '../../images/registry/index.js'
import type { ConvertProgress } from './progress.js'
import { SpoolFile } from './spool-file.js'
import type { Workspace } from './workspace.js'

export interface LayerTask {
  /** The layer's blob in the source. */
  readonly blob: Descriptor
  /** Digest of the uncompressed tar, as the configuration names it. */
  readonly diffId: Digest
  /** The chain ID of the layers below; `bottom` for the lowest layer. */
  readonly lower: Digest | 'bottom'
  /** Name for messages, for example `layer 2 of 5`. */
  readonly name: string
}

export interface UnpackModules {
  readonly source: ImageSource
  readonly workspace: Workspace
  readonly progress: ConvertProgress
  readonly signal: AbortSignal
}

export class UnpackedLayer {
  readonly task: LayerTask
  readonly tree: LayerTree
  readonly spool: SpoolFile
  /** Size of the uncompressed tar. */
  readonly rawBytes: number

  private constructor(task: LayerTask, tree: LayerTree, spool: SpoolFile, rawBytes: number) {
    this.task = task
    this.tree = tree
    this.spool = spool
    this.rawBytes = rawBytes
  }

  /**
   * Fetches, verifies and unpacks a layer. Throws `invalid-content`, naming layer and member. The
   * caller closes the unpacked layer.
   */
  static async unpack(task: LayerTask, modules: UnpackModules): Promise<UnpackedLayer> {
    const { workspace, signal } = modules
    const spool = SpoolFile.create(workspace.file('spool'))
    const builder = LayerBuilder.create({ sink: spool, workFile: workspace.file('tree') })
    try {
      const raw = new HashedBytes(decompress(countedBlob(task, modules), { name: task.name }))
      await builder.addArchive(raw.bytes(), signal)
      checkDiffId(task, raw.digest())
      await spool.flush()
      return new UnpackedLayer(task, builder.finish(), spool, raw.sizeBytes)
    } catch (cause) {
      await spool.close()
      throw layerError(task, cause)
    } finally {
      builder.close()
    }
  }

  /** Deletes the temporary files. Idempotent. */
  async close(): Promise<void> {
    this.tree.close()
    await this.spool.close()
  }
}

/**
 * Puts the layer's name in front of the message of an `IndexFormatError` or `SnapshotterError`.
 * Returns any other value unchanged.
 */
export function layerError(task: LayerTask, cause: unknown): unknown {
  const format = cause instanceof IndexFormatError
  if (!format && !(cause instanceof SnapshotterError)) return cause
  if (cause.message.startsWith(task.name)) return cause
  const code = format ? 'invalid-content' : cause.code
  const message = `${task.name} (${task.blob.digest}): ${cause.message}`
  return new SnapshotterError(code, message, { cause })
}

async function* countedBlob(
  task: LayerTask,
  { source, progress, signal }: UnpackModules,
): AsyncGenerator<Uint8Array, void, undefined> {
  const shown = progress.begin(`${task.name}: unpack`, task.blob.sizeBytes)
  try {
    for await (const piece of source.blob(task.blob, signal)) {
      shown.advance(piece.length)
      yield piece
    }
  } finally {
    shown.end()
  }
}

class HashedBytes {
  readonly #source: AsyncIterable<Uint8Array>
  readonly #hash = createHash('sha256')
  sizeBytes = 0

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source
  }

  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of this.#source) {
      this.#hash.update(piece)
      this.sizeBytes += piece.length
      yield piece
    }
  }

  /** Digest of everything that went through `bytes`. Call it once. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }
}

function checkDiffId(task: LayerTask, found: Digest): void {
  if (found === task.diffId) return
  throw new SnapshotterError(
    'invalid-content',
    `${task.name} (${task.blob.digest}): its tar has digest ${found}, the configuration says ` +
      task.diffId,
  )
}
