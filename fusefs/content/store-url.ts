/**
 * Parses the URL of a store. There are three forms:
 * - `oci+https://host/repository`: a registry. Blobs are at `/v2/<repository>/blobs/sha256:<hex>`.
 * - `https://host/base/`: a static server. Blobs are at `blobs/sha256/<hex>` below the base.
 * - `file:///dir`: a local folder. Blobs are at `blobs/sha256/<hex>` in it.
 *
 * `oci+http:` and `http:` are also accepted.
 */
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Digest, hexOf } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'

/** The parsed URL of a store. `name` is the store's name in logs and errors. */
export type StoreUrl =
  | {
      readonly kind: 'registry'
      readonly name: string
      /** `https://host[:port]`. */
      readonly origin: string
      readonly repository: string
    }
  | { readonly kind: 'static'; readonly name: string; /** Ends with a slash. */ readonly base: URL }
  | { readonly kind: 'file'; readonly name: string; /** Absolute. */ readonly directory: string }

/** A repository's name: distribution-spec, "Pulling manifests". */
const REPOSITORY =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const MAX_URL_LENGTH = 2_048

/** Parses a store's URL. Throws `invalid-argument` with the reason. */
export function storeUrlFromString(text: string): StoreUrl {
  if (text.length > MAX_URL_LENGTH) throw refused(text, `longer than ${MAX_URL_LENGTH} characters`)
  const isRegistry = text.startsWith('oci+')
  const plain = isRegistry ? text.slice('oci+'.length) : text
  if (!URL.canParse(plain)) throw refused(text, 'not a URL')
  const url = new URL(plain)
  if (url.username !== '' || url.password !== '') {
    throw refused(
      `${url.protocol}//…@${url.host}`,
      'it carries credentials; configure them instead',
    )
  }
  if (url.search !== '' || url.hash !== '')
    throw refused(text, 'a query or a fragment has no place')
  if (url.protocol === 'file:' && !isRegistry) return fileStore(text, url)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refused(text, 'expected oci+https:, oci+http:, https:, http: or file:')
  }
  if (!isRegistry) {
    const base = new URL(url.pathname.endsWith('/') ? url.href : `${url.href}/`)
    return { kind: 'static', name: base.href, base }
  }
  const repository = url.pathname.replace(/^\//, '').replace(/\/$/, '')
  if (!REPOSITORY.test(repository)) throw refused(text, `"${repository}" is not a repository`)
  return {
    kind: 'registry',
    name: `oci+${url.origin}/${repository}`,
    origin: url.origin,
    repository,
  }
}

/** The server of an HTTP store: `https://host[:port]`. */
export function originOf(store: StoreUrl & { kind: 'registry' | 'static' }): string {
  return store.kind === 'registry' ? store.origin : store.base.origin
}

/** The URL of a blob in an HTTP store. */
export function blobUrl(store: StoreUrl & { kind: 'registry' | 'static' }, digest: Digest): URL {
  switch (store.kind) {
    case 'registry':
      return new URL(`${store.origin}/v2/${store.repository}/blobs/${digest}`)
    case 'static':
      return new URL(`blobs/sha256/${hexOf(digest)}`, store.base)
  }
}

/** The path of a blob's file in a folder that is a store. */
export function blobPath(directory: string, digest: Digest): string {
  return join(directory, 'blobs', 'sha256', hexOf(digest))
}

function fileStore(text: string, url: URL): StoreUrl {
  if (url.host !== '') throw refused(text, `the folder must be on this host, as in file:///dir`)
  let directory: string
  try {
    directory = fileURLToPath(url)
  } catch (cause) {
    throw refused(text, 'not a path of this host', cause)
  }
  if (!isAbsolute(directory)) throw refused(text, 'the path is not absolute')
  return { kind: 'file', name: url.href, directory }
}

function refused(text: string, reason: string, cause?: unknown): FusefsError {
  return new FusefsError('invalid-argument', `store ${text.slice(0, 200)}: ${reason}`, { cause })
}
