/**
 * An image in an OCI image layout (image-spec, image-layout.md), which is a folder or an archive.
 * Both have `oci-layout`, `index.json` and `blobs/sha256/<hex>`.
 */
import { hexOf } from '../../index-format/index.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import {
  type Descriptor,
  JsonObject,
  MAX_MANIFEST_BYTES,
  OCI_INDEX,
  type StoredManifest,
  boundedContent,
  parseManifest,
} from './registry/index.js'
import type { ImageSource } from './image-source.js'
import { localBlob } from './local-blob.js'
import { checkedDocument, tooLarge } from './registry-source.js'

export const REF_NAME = 'org.opencontainers.image.ref.name'
/** containerd's importer takes the image's full name from this annotation. */
export const CONTAINERD_IMAGE_NAME = 'io.containerd.image.name'

/** A read-only set of files by path. */
export interface FileSet {
  readonly name: string
  /** The bytes of a file. `undefined`, or ENOENT from the stream, where there is no such file. */
  read(path: string): AsyncIterable<Uint8Array> | undefined
  close(): Promise<void>
}

export class OciLayoutSource implements ImageSource {
  readonly name: string
  readonly origin: string
  readonly imageName: string | undefined
  readonly #files: FileSet
  readonly #root: Descriptor

  private constructor(files: FileSet, root: Descriptor) {
    this.#files = files
    this.#root = root
    this.name = files.name
    this.origin = files.name
    this.imageName = root.annotations?.[CONTAINERD_IMAGE_NAME] ?? root.annotations?.[REF_NAME]
  }

  /**
   * Opens the image in `files`. `tag` chooses one of several images by its annotation
   * `org.opencontainers.image.ref.name` or `io.containerd.image.name`. Takes over `files` and
   * closes them on error. Throws `not-found` where no image matches, `invalid-argument` where
   * several match, `invalid-content` for another layout version. The caller closes the source.
   */
  static async open(files: FileSet, tag: string | undefined): Promise<OciLayoutSource> {
    try {
      const layout = JsonObject.parse(
        await readFile(files, 'oci-layout', MAX_MANIFEST_BYTES),
        `oci-layout of ${files.name}`,
      )
      const version = layout.string('imageLayoutVersion')
      if (!version.startsWith('1.')) {
        throw new SnapshotterError(
          'invalid-content',
          `${files.name}: OCI layout version "${version.slice(0, 40)}", known is 1.0.0`,
        )
      }
      const bytes = await readFile(files, 'index.json', MAX_MANIFEST_BYTES)
      return new OciLayoutSource(files, chooseImage(bytes, tag, files.name))
    } catch (error) {
      await files.close()
      throw error
    }
  }

  async root(signal: AbortSignal): Promise<StoredManifest> {
    const bytes = await this.document(this.#root, MAX_MANIFEST_BYTES, signal)
    return { descriptor: this.#root, bytes }
  }

  async document(
    descriptor: Descriptor,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    signal.throwIfAborted()
    if (descriptor.sizeBytes > maxBytes) {
      throw tooLarge(`${descriptor.digest} of ${this.name}`, descriptor.sizeBytes, maxBytes)
    }
    const bytes = await readFile(this.#files, blobPath(descriptor), maxBytes)
    return checkedDocument(bytes, descriptor, this.name)
  }

  blob(descriptor: Descriptor): AsyncIterable<Uint8Array> {
    const bytes = this.#files.read(blobPath(descriptor))
    if (bytes === undefined) throw missing(blobPath(descriptor), this.name)
    return localBlob(bytes, descriptor, this.name)
  }

  close(): Promise<void> {
    return this.#files.close()
  }
}

async function readFile(files: FileSet, path: string, maxBytes: number): Promise<Uint8Array> {
  const bytes = files.read(path)
  if (bytes === undefined) throw missing(path, files.name)
  try {
    return await boundedContent(bytes, maxBytes, `${path} of ${files.name}`)
  } catch (cause) {
    if (cause instanceof SnapshotterError) throw cause
    if (systemErrorCode(cause) === 'ENOENT') throw missing(path, files.name)
    throw new SnapshotterError('internal', `read ${path} of ${files.name}`, { cause })
  }
}

function chooseImage(indexBytes: Uint8Array, tag: string | undefined, name: string): Descriptor {
  const index = parseManifest(indexBytes, OCI_INDEX, `index.json of ${name}`)
  const all = index.kind === 'index' ? index.manifests : []
  const named = (one: Descriptor): string[] =>
    [one.annotations?.[REF_NAME], one.annotations?.[CONTAINERD_IMAGE_NAME]].filter(
      (text) => text !== undefined,
    )
  const found = tag === undefined ? all : all.filter((one) => named(one).includes(tag))
  const [first] = found
  if (first !== undefined && found.every((one) => one.digest === first.digest)) return first
  const names = all.flatMap(named).slice(0, 20).join(', ')
  if (first === undefined) {
    throw new SnapshotterError(
      'not-found',
      `${name}: no image ${tag === undefined ? 'at all' : `named "${tag}"`}; it has: ${names}`,
    )
  }
  throw new SnapshotterError(
    'invalid-argument',
    `${name}: holds ${found.length} images; say which with a suffix :TAG, one of: ${names}`,
  )
}

function blobPath(descriptor: Descriptor): string {
  return `blobs/sha256/${hexOf(descriptor.digest)}`
}

function missing(path: string, name: string): SnapshotterError {
  return new SnapshotterError('not-found', `${name}: there is no ${path}`)
}
