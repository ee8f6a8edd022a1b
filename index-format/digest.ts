/**
 * A content digest in OCI notation. SHA-256 is the only algorithm this project writes or accepts:
 * registries, containerd and our frames all use it.
 */
import { createHash } from 'node:crypto'
import { IndexFormatError } from './errors.js'

/** `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = `sha256:${string}`

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Whether `text` is a well-formed SHA-256 digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text)
}

/** Parses a digest. Throws `invalid-digest`; the message begins with `where`, the text's source. */
export function digestFromString(text: string, where: string): Digest {
  if (isDigest(text)) return text
  throw new IndexFormatError(
    'invalid-digest',
    `${where}: "${text.slice(0, 100)}" is not a digest; expected sha256: and 64 lower-case hex digits`,
  )
}

/** The digest with the raw form `raw`. Throws `invalid-digest` unless `raw` has 32 bytes. */
export function digestFromBytes(raw: Uint8Array): Digest {
  if (raw.length !== 32) {
    throw new IndexFormatError('invalid-digest', `a digest has 32 bytes, this one ${raw.length}`)
  }
  return `sha256:${Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('hex')}`
}

/** The 32 raw bytes of a digest. */
export function bytesFromDigest(digest: Digest): Uint8Array {
  return Buffer.from(hexOf(digest), 'hex')
}

/** The 64 hex digits of a digest, without `sha256:`. File names and CVMFS recipes use this form. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** The digest of `data`. */
export function digestOf(data: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`
}
