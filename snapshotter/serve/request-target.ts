/**
 * Parses the path of a request. A path that is not exactly one of the known forms has the kind
 * `nothing`.
 */
import { type Digest, isDigest } from '../../index-format/index.js'

export type RequestTarget =
  | { readonly kind: 'api' }
  | { readonly kind: 'blob'; readonly digest: Digest }
  | {
      readonly kind: 'manifest'
      readonly repository: string
      readonly reference: { readonly digest: Digest } | { readonly tag: string }
    }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'upload' }
  | { readonly kind: 'nothing' }

const MAX_PATH_LENGTH = 1024
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const NAME = `${COMPONENT}(?:/${COMPONENT})*`
const STATIC_BLOB = /^\/blobs\/sha256\/([0-9a-f]{64})$/
const REGISTRY_BLOB = new RegExp(`^/v2/${NAME}/blobs/(sha256:[0-9a-f]{64})$`)
const MANIFEST = new RegExp(`^/v2/(${NAME})/manifests/([A-Za-z0-9_][A-Za-z0-9._:-]{0,127})$`)
const TAGS = new RegExp(`^/v2/(${NAME})/tags/list$`)
const UPLOAD = new RegExp(`^/v2/${NAME}/blobs/uploads(?:/.*)?$`)

/**
 * Parses the target of a request line. The query is ignored. Nothing is decoded, because no known
 * form needs it.
 */
export function requestTargetOf(url: string): RequestTarget {
  const path = url.split('?', 1)[0] ?? ''
  if (path.length > MAX_PATH_LENGTH) return { kind: 'nothing' }
  if (path === '/v2/' || path === '/v2') return { kind: 'api' }
  const hex = STATIC_BLOB.exec(path)?.[1]
  const digest = hex === undefined ? REGISTRY_BLOB.exec(path)?.[1] : `sha256:${hex}`
  if (digest !== undefined && isDigest(digest)) return { kind: 'blob', digest }
  const [, repository, reference] = MANIFEST.exec(path) ?? []
  if (repository !== undefined && reference !== undefined) {
    if (isDigest(reference))
      return { kind: 'manifest', repository, reference: { digest: reference } }
    if (!reference.includes(':'))
      return { kind: 'manifest', repository, reference: { tag: reference } }
  }
  const tagsOf = TAGS.exec(path)?.[1]
  if (tagsOf !== undefined) return { kind: 'tags', repository: tagsOf }
  return UPLOAD.test(path) ? { kind: 'upload' } : { kind: 'nothing' }
}
