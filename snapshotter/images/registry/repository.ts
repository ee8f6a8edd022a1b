/**
 * One repository of an OCI registry (distribution-spec 1.1): manifests and blobs, read and written.
 * Whatever is read is verified against its digest before the caller may rely on it.
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
  /** host[:port] as in a reference. */
  readonly registry: string
  readonly repository: string
  /** Where its API is: scheme and host. */
  readonly origin: string
}

/** A manifest's bytes as the registry keeps them, checked against `descriptor.digest`. */
export interface StoredManifest {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

/** A blob to be written whose digest is known. */
export interface BlobContent {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Called once for each try: the bytes as they are, or a stream of them. */
  readonly open: () => Uint8Array | Readable
}

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

  /** What messages call it. */
  get name(): string {
    return `${this.registry}/${this.repository}`
  }

  /** Reads the manifest of a tag or a digest. Throws `not-found`, `invalid-content`, … */
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

  /** The digest a tag stands for, or `undefined` where there is no such manifest. */
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
   * The bytes of a blob, in order. A connection that breaks is resumed, a bounded number of times.
   * Throws `invalid-content` at the end where size or digest are not the descriptor's: what was
   * made of the bytes must be thrown away then.
   */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { digest, sizeBytes } = descriptor
    const url = this.#url(`blobs/${digest}`)
    const what = `GET blob ${digest} from ${this.name}`
    return this.#client.blob({ url, digest, sizeBytes, what, signal })
  }

  /** The size of a blob that is there, else `undefined`. */
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

  /** Writes a blob: one POST, one PUT. The registry has verified the digest when this returns. */
  async putBlob(blob: BlobContent, signal: AbortSignal): Promise<void> {
    const what = `PUT blob ${blob.digest} to ${this.name}`
    const retries = this.#client.retries({ what, attempts: 3, signal })
    try {
      // A session whose PUT failed may hold a part of the bytes; each try takes a new one.
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
   * Writes a blob whose size and digest are not known before its end, in pieces that are repeated
   * when they fail. Returns what was written.
   */
  async putStream(
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ digest: Digest; sizeBytes: number }> {
    const what = `upload a blob to ${this.name}`
    const url = await this.#startUpload(what, signal)
    return uploadChunks({ url, content, what, signal }, this.#client)
  }

  /** Makes a blob of another repository of this registry one of ours. False: it has to be written. */
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
      // No right to read the other repository, or a registry that does not know mounting.
      if (error instanceof SnapshotterError && MOUNT_REFUSED.has(error.code)) return false
      throw error
    }
  }

  /** Writes a manifest under a tag or its digest. All it names must be there already. */
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
   * Whether the registry has the referrers API and lists `referrer` under `subject`: it then needs no
   * tag to be found by.
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
    // An upload nobody continues expires by itself.
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
