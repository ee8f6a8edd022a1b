/**
 * An image in an archive that `docker save` has written. Its `manifest.json` names a configuration
 * and layer tars. The archive has no OCI manifest, so this class makes one. The blob digest of an
 * uncompressed layer is its diff ID.
 */
import { createHash } from 'node:crypto'
import { type Digest, digestOf, isDigest } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import {
  type Descriptor,
  JsonObject,
  MAX_CONFIG_BYTES,
  MAX_LAYERS,
  MAX_MANIFEST_BYTES,
  OCI_CONFIG,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_MANIFEST,
  type StoredManifest,
  boundedContent,
  descriptorToJson,
} from './registry/index.js'
import type { ArchiveFiles } from './archive-files.js'
import type { ImageSource } from './image-source.js'
import { checkedDocument, tooLarge } from './registry-source.js'
import { localBlob } from './local-blob.js'

interface SavedImage {
  readonly config: string
  readonly layers: readonly string[]
  readonly tags: readonly string[]
}

export class DockerArchiveSource implements ImageSource {
  readonly name: string
  readonly origin: string
  readonly imageName: string | undefined
  readonly #files: ArchiveFiles
  readonly #manifest: Uint8Array
  /** The member that holds the bytes of each digest. */
  readonly #paths: ReadonlyMap<Digest, string>

  private constructor(
    files: ArchiveFiles,
    imageName: string | undefined,
    manifest: Uint8Array,
    paths: ReadonlyMap<Digest, string>,
  ) {
    this.#files = files
    this.#manifest = manifest
    this.#paths = paths
    this.name = files.name
    this.origin = files.name
    this.imageName = imageName
  }

  /**
   * Opens the image in `files`. `tag`, a full image name, chooses one of several images. Takes over
   * `files` and closes them on error. Throws `not-found` or `invalid-argument` where not exactly
   * one image matches, `invalid-content` for a broken archive. The caller closes the source.
   */
  static async open(files: ArchiveFiles, tag: string | undefined): Promise<DockerArchiveSource> {
    try {
      const saved = chooseSaved(await savedImages(files), tag, files.name)
      const configBytes = await readMember(files, saved.config, MAX_CONFIG_BYTES)
      const config: Descriptor = {
        mediaType: OCI_CONFIG,
        digest: digestOf(configBytes),
        sizeBytes: configBytes.length,
      }
      const diffIds = JsonObject.parse(configBytes, `${saved.config} of ${files.name}`)
        .object('rootfs')
        .strings('diff_ids', MAX_LAYERS)
      if (diffIds.length !== saved.layers.length) {
        throw new SnapshotterError(
          'invalid-content',
          `${files.name}: ${saved.layers.length} layers, but ${diffIds.length} diff IDs`,
        )
      }
      const paths = new Map<Digest, string>([[config.digest, saved.config]])
      const layers: Descriptor[] = []
      for (const [i, path] of saved.layers.entries()) {
        const layer = await layerDescriptor(files, path, diffIds[i] ?? '')
        paths.set(layer.digest, path)
        layers.push(layer)
      }
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: descriptorToJson(config),
        layers: layers.map(descriptorToJson),
      }
      const bytes = Buffer.from(JSON.stringify(manifest))
      return new DockerArchiveSource(files, tag ?? saved.tags[0], bytes, paths)
    } catch (error) {
      await files.close()
      throw error
    }
  }

  root(): Promise<StoredManifest> {
    const bytes = this.#manifest
    const descriptor: Descriptor = {
      mediaType: OCI_MANIFEST,
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
    }
    return Promise.resolve({ descriptor, bytes })
  }

  async document(descriptor: Descriptor, maxBytes: number): Promise<Uint8Array> {
    if (descriptor.sizeBytes > maxBytes) {
      throw tooLarge(`${descriptor.digest} of ${this.name}`, descriptor.sizeBytes, maxBytes)
    }
    const bytes = await readMember(this.#files, this.#pathOf(descriptor), maxBytes)
    return checkedDocument(bytes, descriptor, this.name)
  }

  blob(descriptor: Descriptor): AsyncIterable<Uint8Array> {
    const path = this.#pathOf(descriptor)
    return localBlob(memberBytes(this.#files, path), descriptor, this.name)
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  #pathOf(descriptor: Descriptor): string {
    const path = this.#paths.get(descriptor.digest)
    if (path !== undefined) return path
    throw new SnapshotterError('not-found', `${this.name}: there is no blob ${descriptor.digest}`)
  }
}

async function savedImages(files: ArchiveFiles): Promise<SavedImage[]> {
  const where = `manifest.json of ${files.name}`
  const text = await readMember(files, 'manifest.json', MAX_MANIFEST_BYTES)
  // The document is an array. It is wrapped into an object, because the parser takes objects only.
  const wrapped = Buffer.concat([Buffer.from('{"images":'), text, Buffer.from('}')])
  return JsonObject.parse(wrapped, where)
    .objects('images', 1000)
    .map((json) => ({
      config: json.string('Config'),
      layers: json.strings('Layers', MAX_LAYERS),
      tags: json.strings('RepoTags', 1000),
    }))
}

function chooseSaved(all: SavedImage[], tag: string | undefined, name: string): SavedImage {
  const found = tag === undefined ? all : all.filter((one) => one.tags.includes(tag))
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  const names = all
    .flatMap((one) => one.tags)
    .slice(0, 20)
    .join(', ')
  throw new SnapshotterError(
    first === undefined ? 'not-found' : 'invalid-argument',
    `${name}: ${found.length} images match; say which with a suffix :NAME, one of: ${names}`,
  )
}

/** The digest of a plain layer is its diff ID. A compressed layer is read to compute its digest. */
async function layerDescriptor(
  files: ArchiveFiles,
  path: string,
  diffId: string,
): Promise<Descriptor> {
  const sizeBytes = files.sizeOf(path)
  if (sizeBytes === undefined || !isDigest(diffId)) {
    throw new SnapshotterError('invalid-content', `${files.name}: no layer ${path} (${diffId})`)
  }
  const hash = createHash('sha256')
  let first = true
  for await (const piece of memberBytes(files, path)) {
    if (first && !(piece[0] === 0x1f && piece[1] === 0x8b)) {
      return { mediaType: OCI_LAYER_TAR, digest: diffId, sizeBytes }
    }
    first = false
    hash.update(piece)
  }
  return { mediaType: OCI_LAYER_GZIP, digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

function readMember(files: ArchiveFiles, path: string, maxBytes: number): Promise<Uint8Array> {
  return boundedContent(memberBytes(files, path), maxBytes, `${path} of ${files.name}`)
}

function memberBytes(files: ArchiveFiles, path: string): AsyncIterable<Uint8Array> {
  const bytes = files.read(path)
  if (bytes !== undefined) return bytes
  throw new SnapshotterError('not-found', `${files.name}: there is no ${path}`)
}
