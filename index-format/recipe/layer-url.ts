/**
 * The URL of a recipe's layer: an index of ours, a directory of a CVMFS repository, or a directory
 * of the host. A path from a recipe is passed to mount(2), so it must be absolute and without `..`.
 */
import { fileURLToPath } from 'node:url'
import { type Digest, isDigest } from '../digest.js'
import { MAX_RECIPE_TEXT_BYTES } from '../limits.js'
import type { JsonCursor } from './json-cursor.js'

export type LayerUrl =
  /** `thin:sha256:<hex>`: the layer's index, by the digest of its SQLite file. */
  | { readonly kind: 'thin'; readonly index: Digest }
  /** `cvmfs://repository/path`: a directory below the host's `/cvmfs`. */
  | { readonly kind: 'cvmfs'; readonly repository: string; readonly path: string }
  /** `file:///directory` of the host. */
  | { readonly kind: 'file'; readonly directory: string }

const REPOSITORY = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/

/** Parses a layer's `url`. Throws `invalid-recipe` naming the JSON path. */
export function layerUrlFromJson(json: JsonCursor): LayerUrl {
  const text = json.text(MAX_RECIPE_TEXT_BYTES)
  const thin = afterPrefix(text, 'thin:')
  if (thin !== undefined) {
    if (!isDigest(thin)) throw json.refused('thin:sha256: and 64 lower-case hex digits')
    return { kind: 'thin', index: thin }
  }
  const cvmfs = afterPrefix(text, 'cvmfs://')
  if (cvmfs !== undefined) {
    const slash = cvmfs.indexOf('/')
    const repository = slash < 0 ? cvmfs : cvmfs.slice(0, slash)
    const path = slash < 0 ? '' : cvmfs.slice(slash)
    if (!REPOSITORY.test(repository) || !isPlainPath(path)) {
      throw json.refused('cvmfs://<repository>/<path> without "." or ".." in it')
    }
    return { kind: 'cvmfs', repository, path }
  }
  if (afterPrefix(text, 'file:') !== undefined) {
    const directory = pathFromFileUrl(text)
    if (directory !== undefined && isPlainPath(directory)) return { kind: 'file', directory }
    throw json.refused('file:///<absolute path> without "." or ".." in it')
  }
  throw json.refused('a URL that begins with thin:, cvmfs:// or file://')
}

/** The host directory of a `cvmfs` or `file` URL; `undefined` for `thin`. */
export function directoryOfLayerUrl(url: LayerUrl): string | undefined {
  switch (url.kind) {
    case 'thin':
      return undefined
    case 'cvmfs':
      return `/cvmfs/${url.repository}${url.path}`
    case 'file':
      return url.directory
  }
}

/** The text form, as `layerUrlFromJson` parses it. */
export function textFromLayerUrl(url: LayerUrl): string {
  switch (url.kind) {
    case 'thin':
      return `thin:${url.index}`
    case 'cvmfs':
      return `cvmfs://${url.repository}${url.path}`
    case 'file':
      return `file://${url.directory.split('/').map(encodeURIComponent).join('/')}`
  }
}

/** Whether the path is empty, or absolute without an empty component, "." or "..". */
function isPlainPath(path: string): boolean {
  if (path === '') return true
  const [first, ...components] = path.split('/')
  return (
    first === '' &&
    components.every((name) => name !== '' && name !== '.' && name !== '..') &&
    !path.includes('\0')
  )
}

function pathFromFileUrl(text: string): string | undefined {
  // `new URL` would silently resolve "/a/../b". Such a path is refused instead.
  const match = /^file:\/\/(\/[^?#]*)$/.exec(text)
  if (match?.[1] === undefined) return undefined
  try {
    if (!isPlainPath(decodeURIComponent(match[1]))) return undefined
    return fileURLToPath(text)
  } catch {
    return undefined
  }
}

function afterPrefix(text: string, prefix: string): string | undefined {
  return text.startsWith(prefix) ? text.slice(prefix.length) : undefined
}
