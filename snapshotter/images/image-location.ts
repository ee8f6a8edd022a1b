/** Parses SOURCE and DESTINATION arguments without looking at the disk. */
import { SnapshotterError } from '../errors.js'

export type ImageLocation =
  | { readonly kind: 'registry'; readonly reference: string }
  | {
      /** `path`: a folder or an archive. The disk or the name's suffix decides which. */
      readonly kind: 'oci' | 'oci-archive' | 'docker-archive' | 'path'
      readonly path: string
      /** A tag, or a full image name. */
      readonly tag: string | undefined
    }

/**
 * Splits `text` into its kind, path and tag. Throws `invalid-argument` for an empty path or tag.
 * Does not check whether the path exists or the reference is valid.
 */
export function splitImageLocation(text: string): ImageLocation {
  for (const kind of ['oci', 'oci-archive', 'docker-archive'] as const) {
    if (text.startsWith(`${kind}:`))
      return { kind, ...splitPath(text.slice(kind.length + 1), text) }
  }
  if (text.startsWith('docker://')) {
    return { kind: 'registry', reference: text.slice('docker://'.length) }
  }
  if (text.startsWith('/') || text === '.' || text === '..' || /^\.\.?\//.test(text)) {
    return { kind: 'path', path: text, tag: undefined }
  }
  return { kind: 'registry', reference: text }
}

/** The path ends at the first colon. Later colons belong to the image name. */
function splitPath(rest: string, text: string): { path: string; tag: string | undefined } {
  const colon = rest.indexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const tag = colon < 0 ? undefined : rest.slice(colon + 1)
  if (path === '' || tag === '') {
    throw new SnapshotterError(
      'invalid-argument',
      `"${text.slice(0, 200)}": expected a path and, after a colon, a tag or nothing`,
    )
  }
  return { path, tag }
}
