/** An image in a registry. */
import { digestOf } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import {
  type Descriptor,
  type ImageReference,
  type RegistryConnection,
  type Repository,
  type StoredManifest,
  boundedContent,
  formatReference,
} from './registry/index.js'
import type { ImageSource } from './image-source.js'

export class RegistrySource implements ImageSource {
  readonly name: string
  readonly origin: string
  readonly imageName: string
  readonly #reference: ImageReference
  readonly #repository: Repository

  /** The caller closes the connection. */
  constructor(reference: ImageReference, modules: { connection: RegistryConnection }) {
    const { connection } = modules
    this.#reference = reference
    this.#repository = connection.repository(reference.registry, reference.repository)
    this.name = formatReference(reference)
    this.imageName = this.name
    const version = reference.tag ?? reference.digest ?? ''
    this.origin = `${reference.repository}:${version}@${this.#repository.origin}/v2`
  }

  root(signal: AbortSignal): Promise<StoredManifest> {
    const { digest, tag } = this.#reference
    return this.#repository.manifest(digest ?? tag ?? 'latest', signal)
  }

  async document(
    descriptor: Descriptor,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const what = `${descriptor.digest} of ${this.name}`
    if (descriptor.sizeBytes > maxBytes) throw tooLarge(what, descriptor.sizeBytes, maxBytes)
    if (descriptor.mediaType.includes('manifest') || descriptor.mediaType.includes('.index.')) {
      return (await this.#repository.manifest(descriptor.digest, signal)).bytes
    }
    return boundedContent(this.#repository.blob(descriptor, signal), maxBytes, what)
  }

  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#repository.blob(descriptor, signal)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export function tooLarge(what: string, sizeBytes: number, maxBytes: number): SnapshotterError {
  return new SnapshotterError(
    'invalid-content',
    `${what}: ${sizeBytes} bytes, at most ${maxBytes} are allowed`,
  )
}

/** Returns `bytes`. Throws `invalid-content` unless they have the descriptor's digest. */
export function checkedDocument(
  bytes: Uint8Array,
  descriptor: Descriptor,
  from: string,
): Uint8Array {
  const found = digestOf(bytes)
  if (found === descriptor.digest) return bytes
  throw new SnapshotterError(
    'invalid-content',
    `${descriptor.digest} of ${from}: its bytes have digest ${found}`,
  )
}
