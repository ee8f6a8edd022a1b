/**
 * Reads and writes the manifests and blobs of one repository of an OCI registry (distribution-spec
 * 1.1). Content is verified against its digest when it is read.
 */
import type { Readable } from 'node:stream'
import { type Digest, digestOf, isDigest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { RegistryClient } from './registry-client.js'
import {
  BLOB_EXCHANGE_TIMEOUT_MS,
  MAX_MANIFEST_BYTES,
  SMALL_EXCHANGE_TIMEOUT_MS,
} from './registry-limits.js'
import { type Descriptor, parseManifest } from './manifest.js'
import { MANIFEST_TYPES, OCI_INDEX } from './media-types.js'
import { uploadChunks } from './upload.js'

export interface RepositoryOptions {
  /** host[:port], as in an image reference. */
  readonly registry: string
  readonly repository: string
  /** The scheme and host of the registry's API. */
  readonly origin: string
}

/** The bytes of a manifest as the registry stores them. Their digest is `descriptor.digest`. */
export interface StoredManifest {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

/** A blob to write. Its digest and size are known beforehand. */
export interface BlobContent {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Called once for each attempt. Returns the bytes, or a stream of them. */
  readonly open: () => Uint8Array | Readable
}

/** All methods throw the errors of `RegistryClient`. */
export class Repository {
  readonly registry: string
  readonly repository: string
  readonly origin: string
  readonly #client: RegistryClient

  constructor(options: RepositoryOptions, modules: { client: RegistryClient }) {
    this.registry = options.registry
    this.repository = options.repository
    this.origin = options.origin
    this.#client = modules.client
  }

  /** The repository's name in messages: `registry/repository`. */
  get name(): string {
    return `${this.registry}/${this.repository}`
  }

  /**
   * Reads the manifest of a tag or a digest. Throws `not-found` if there is none, and
   * `invalid-content` if its bytes have another digest than the registry or the caller says.
   */
  async manifest(tagOrDigest: string, signal: AbortSignal): Promise<StoredManifest> {
    const what = `GET manifest ${tagOrDigest} from ${this.name}`
    const exchange = {
      method: 'GET',
      url: this.#url(`manifests/${tagOrDigest}`),
      what,
      headers: { accept: MANIFEST_TYPES.join(', ') },
      expect: [200],
      timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
      signal,
    } as const
    const { answer, bytes } = await this.#client.read(exchange, MAX_MANIFEST_BYTES)
    const digest = digestOf(bytes)
    const promised = isDigest(tagOrDigest) ? tagOrDigest : answer.header('docker-content-digest')
    if (promised !== undefined && promised !== digest) {
      throw new SnapshotterError(
        'invalid-content',
        `${what}: the bytes have digest ${digest}, not ${promised}`,
      )
    }
    const mediaType = answer.header('content-type')?.split(';')[0]?.trim() ?? ''
    return { bytes, descriptor: { mediaType, digest, sizeBytes: bytes.length } }
  }

  /** The digest of the manifest of a tag or a digest. `undefined` if there is no such manifest. */
  async resolve(tagOrDigest: string, signal: AbortSignal): Promise<Digest | undefined> {
    const answer = await this.#client.send({
      method: 'HEAD',
      url: this.#url(`manifests/${tagOrDigest}`),
      what: `HEAD manifest ${tagOrDigest} of ${this.name}`,
      headers: { accept: MANIFEST_TYPES.join(', ') },
      expect: [200, 404],
      timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
      signal,
    })
    if (answer.status === 404) return undefined
    const digest = answer.header('docker-content-digest')
    if (digest !== undefined && isDigest(digest)) return digest
    return (await this.manifest(tagOrDigest, signal)).descriptor.digest
  }

  /**
   * Yields the bytes of a blob, in order. If the connection breaks, a new request continues after
   * the last byte, a limited number of times. Throws `invalid-content` at the end if the size or
   * the digest is not the descriptor's. The caller must then discard all results made from the
   * bytes.
   */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { digest, sizeBytes } = descriptor
    const url = this.#url(`blobs/${digest}`)
    const what = `GET blob ${digest} from ${this.name}`
    return this.#client.blob({ url, digest, sizeBytes, what, signal })
  }

  /**
   * The size of a blob in bytes. `undefined` if the repository does not have it, or names no size.
   */
  async blobSize(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const answer = await this.#client.send({
      method: 'HEAD',
      url: this.#url(`blobs/${digest}`),
      what: `HEAD blob ${digest} of ${this.name}`,
      expect: [200, 404],
      timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
      signal,
    })
    if (answer.status === 404) return undefined
    const size = Number(answer.header('content-length'))
    return Number.isSafeInteger(size) ? size : undefined
  }

  /** Writes a blob with one POST and one PUT. The registry has then verified its digest. */
  async putBlob(blob: BlobContent, signal: AbortSignal): Promise<void> {
    const what = `PUT blob ${blob.digest} to ${this.name}`
    const retries = this.#client.retries({ what, attempts: 3, signal })
    try {
      // An upload session may keep a part of the bytes after a failed PUT. Each attempt opens a new
      // session.
      for (;;) {
        const url = await this.#startUpload(what, signal)
        url.searchParams.set('digest', blob.digest)
        try {
          await this.#putContent(blob, { url, what, signal })
          return
        } catch (error) {
          await retries.failed(error)
        }
      }
    } finally {
      retries.close()
    }
  }

  /**
   * Writes a blob whose size and digest are not known before its end. It is sent in chunks, and a
   * chunk that fails is sent again. Returns the digest and size of the blob.
   */
  async putStream(
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ digest: Digest; sizeBytes: number }> {
    const what = `upload a blob to ${this.name}`
    const url = await this.#startUpload(what, signal)
    return uploadChunks({ url, content, what, signal }, this.#client)
  }

  /**
   * Asks the registry to add a blob of its repository `from` to this repository. False if the
   * registry did not: the caller then has to write the blob.
   */
  async mountBlob(digest: Digest, from: string, signal: AbortSignal): Promise<boolean> {
    const url = this.#url('blobs/uploads/')
    url.searchParams.set('mount', digest)
    url.searchParams.set('from', from)
    const what = `mount blob ${digest} from ${from} into ${this.name}`
    try {
      const answer = await this.#client.send({
        method: 'POST',
        url,
        what,
        headers: { 'content-length': '0' },
        expect: [201, 202],
        timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
        signal,
      })
      if (answer.status === 202) await this.#cancelUpload(answer.header('location'), what, signal)
      return answer.status === 201
    } catch (error) {
      // We may not read the other repository, or the registry does not support mounting.
      if (error instanceof SnapshotterError && MOUNT_REFUSED.has(error.code)) return false
      throw error
    }
  }

  /**
   * Writes a manifest under a tag or its digest, and returns the digest. All content that the
   * manifest names must have been written before. Throws `invalid-content` if the registry stored
   * other bytes.
   */
  async putManifest(
    tagOrDigest: string,
    manifest: { mediaType: string; bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<Digest> {
    const what = `PUT manifest ${tagOrDigest} to ${this.name}`
    const digest = digestOf(manifest.bytes)
    const answer = await this.#client.send({
      method: 'PUT',
      url: this.#url(`manifests/${tagOrDigest}`),
      what,
      headers: { 'content-type': manifest.mediaType },
      body: () => Buffer.from(manifest.bytes),
      expect: [200, 201, 202],
      timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
      signal,
    })
    const stored = answer.header('docker-content-digest')
    if (stored !== undefined && stored !== digest) {
      throw new SnapshotterError(
        'invalid-content',
        `${what}: the registry stored ${stored.slice(0, 100)} instead of ${digest}`,
      )
    }
    return digest
  }

  /**
   * Whether the registry has the referrers API and lists `referrer` under `subject`. If so, clients
   * find the referrer without a tag.
   */
  async knowsReferrer(subject: Digest, referrer: Digest, signal: AbortSignal): Promise<boolean> {
    const what = `GET referrers of ${subject} from ${this.name}`
    const exchange = {
      method: 'GET',
      url: this.#url(`referrers/${subject}`),
      what,
      headers: { accept: OCI_INDEX },
      expect: [200, 404, 405],
      timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
      signal,
    } as const
    const { answer, bytes } = await this.#client.read(exchange, MAX_MANIFEST_BYTES)
    if (answer.status !== 200) return false
    const list = parseManifest(bytes, OCI_INDEX, what)
    return list.kind === 'index' && list.manifests.some(({ digest }) => digest === referrer)
  }

  async #putContent(
    blob: BlobContent,
    to: { url: URL; what: string; signal: AbortSignal },
  ): Promise<void> {
    await this.#client.send({
      method: 'PUT',
      ...to,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(blob.sizeBytes),
      },
      body: blob.open,
      expect: [201, 204],
      timeoutMs: BLOB_EXCHANGE_TIMEOUT_MS,
      attempts: 1,
    })
  }

  async #startUpload(what: string, signal: AbortSignal): Promise<URL> {
    const url = this.#url('blobs/uploads/')
    const answer = await this.#client.send({
      method: 'POST',
      url,
      what,
      headers: { 'content-length': '0' },
      expect: [202],
      timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
      signal,
    })
    const location = answer.header('location')
    if (location === undefined || !URL.canParse(location, url.href)) {
      throw new SnapshotterError(
        'invalid-content',
        `${what}: the registry names no upload location`,
      )
    }
    return new URL(location, url)
  }

  async #cancelUpload(
    location: string | undefined,
    what: string,
    signal: AbortSignal,
  ): Promise<void> {
    const base = this.#url('blobs/uploads/')
    if (location === undefined || !URL.canParse(location, base.href)) return
    const url = new URL(location, base)
    const answer = { method: 'DELETE', url, what, expect: [200, 202, 204], attempts: 1 } as const
    // A failure does not matter: the registry drops an abandoned upload after some time.
    await this.#client
      .send({ ...answer, timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS, signal })
      .catch(() => undefined)
  }

  #url(path: string): URL {
    return new URL(`${this.origin}/v2/${this.repository}/${path}`)
  }
}

const MOUNT_REFUSED: ReadonlySet<string> = new Set([
  'unauthorized',
  'not-found',
  'failed-precondition',
])
