/**
 * The folder that the server serves. It is a store (`blobs/sha256/<hex>`) and may be an OCI layout
 * as well. Paths are made of checked digests only; no part of a request's path reaches the disk.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, hexOf } from '../../index-format/index.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import { CONTAINERD_IMAGE_NAME, REF_NAME } from '../images/index.js'
import {
  type Descriptor,
  JsonObject,
  MAX_MANIFEST_BYTES,
  OCI_INDEX,
  parseManifest,
} from '../images/registry/index.js'

export interface OpenBlob {
  /** The receiver closes it. */
  readonly file: FileHandle
  readonly sizeBytes: number
}

export interface ServedManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly digest: Digest
}

export class ServedFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Opens a blob; `undefined` if there is none. */
  async openBlob(digest: Digest): Promise<OpenBlob | undefined> {
    let file: FileHandle
    try {
      file = await open(join(this.path, 'blobs', 'sha256', hexOf(digest)), 'r')
    } catch (cause) {
      if (isAbsence(cause)) return undefined
      throw cause
    }
    const stats = await file.stat()
    if (stats.isFile()) return { file, sizeBytes: stats.size }
    await file.close()
    return undefined
  }

  /**
   * The manifest with this digest, or with this tag in `index.json`; `undefined` if there is none.
   * Images in `index.json` may have names with or without a repository. `repository` chooses
   * between the names that have one. A plain tag belongs to every repository.
   */
  async manifest(
    repository: string,
    reference: { digest: Digest } | { tag: string },
  ): Promise<ServedManifest | undefined> {
    const digest =
      'digest' in reference ? reference.digest : await this.#tagged(repository, reference.tag)
    const blob = digest && (await this.openBlob(digest))
    if (digest === undefined || blob === undefined) return undefined
    try {
      if (blob.sizeBytes > MAX_MANIFEST_BYTES) return undefined
      const bytes = await blob.file.readFile()
      return { bytes, digest, mediaType: mediaTypeOf(bytes, digest) }
    } catch (error) {
      // The blob is not a manifest, so there is no such manifest.
      if (error instanceof SnapshotterError) return undefined
      throw error
    } finally {
      await blob.file.close()
    }
  }

  /** The tags of a repository, sorted. */
  async tags(repository: string): Promise<string[]> {
    const tags = (await this.#images()).flatMap((image) => {
      const name = namesOf(image).find((one) => !one.includes(':')) ?? namesOf(image)[0]
      if (name === undefined) return []
      if (!name.includes(':')) return [name]
      const colon = name.lastIndexOf(':')
      return isRepository(name.slice(0, colon), repository) ? [name.slice(colon + 1)] : []
    })
    return [...new Set(tags)].sort()
  }

  async #tagged(repository: string, tag: string): Promise<Digest | undefined> {
    const images = await this.#images()
    const exact = images.find((image) =>
      namesOf(image).some((name) => {
        const colon = name.lastIndexOf(':')
        return name.slice(colon + 1) === tag && isRepository(name.slice(0, colon), repository)
      }),
    )
    return (exact ?? images.find((image) => namesOf(image).includes(tag)))?.digest
  }

  async #images(): Promise<readonly Descriptor[]> {
    const path = join(this.path, 'index.json')
    let bytes: Uint8Array
    try {
      bytes = await readFile(path)
    } catch (cause) {
      if (isAbsence(cause)) return []
      throw cause
    }
    if (bytes.length > MAX_MANIFEST_BYTES) {
      throw new SnapshotterError(
        'invalid-content',
        `${path}: more than ${MAX_MANIFEST_BYTES} bytes`,
      )
    }
    const index = parseManifest(bytes, OCI_INDEX, path)
    return index.kind === 'index' ? index.manifests : []
  }
}

function namesOf({ annotations }: Descriptor): string[] {
  return [annotations?.[REF_NAME], annotations?.[CONTAINERD_IMAGE_NAME]].filter(
    (name) => name !== undefined,
  )
}

/** Whether `name`, with or without a registry in front, means this repository. */
function isRepository(name: string, repository: string): boolean {
  return name === repository || name.endsWith(`/${repository}`)
}

function mediaTypeOf(bytes: Uint8Array, digest: Digest): string {
  const said = JsonObject.parse(bytes, digest).optionalString('mediaType')
  return said ?? parseManifest(bytes, undefined, digest).mediaType
}

function isAbsence(cause: unknown): boolean {
  const code = systemErrorCode(cause)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
