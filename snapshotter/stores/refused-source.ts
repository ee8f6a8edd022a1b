/**
 * Stands for stores that this node may not read. Cached content is served without a source. A read
 * of other content fails with the reason for the refusal.
 */
import { type BlobRange, type BlobSource, FusefsError } from '../../fusefs/index.js'
import type { SnapshotterError } from '../errors.js'

export class RefusedSource implements BlobSource {
  readonly name: string
  readonly origin = ''
  readonly #refusal: SnapshotterError

  constructor(name: string, refusal: SnapshotterError) {
    this.name = name
    this.#refusal = refusal
  }

  async *stream(range: BlobRange): AsyncGenerator<Uint8Array, void, undefined> {
    const message = `blob ${range.digest}: ${this.#refusal.message}`
    await Promise.reject(new FusefsError('fetch-failed', message, { cause: this.#refusal }))
  }

  distrust(): boolean {
    return false
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
