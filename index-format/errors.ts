/**
 * The one error class of this layer. A code says what kind of input was refused; the message says
 * what was attempted, the value, and the limit. Callers decide by code, never by message.
 */

export type IndexFormatErrorCode =
  /** Not SHA-256, or not 64 hex digits. */
  | 'invalid-digest'
  /** A tar archive that breaks its own format. */
  | 'invalid-tar'
  /** A layer whose members cannot be applied: bad names, links out of the tree, loops. */
  | 'invalid-layer'
  /** An index whose rows contradict each other or the format. */
  | 'invalid-index'
  /** What is asked for lies in pages of an index that are not here yet. */
  | 'incomplete-index'
  /** A pack or a frame that is not what its table claims. */
  | 'invalid-pack'
  /** A recipe that is not the JSON we know. */
  | 'invalid-recipe'
  /** A profile that is not the JSON we know. */
  | 'invalid-profile'
  /** A startup plan that is not the JSON we know, or contradicts itself. */
  | 'invalid-startup-plan'
  /** An index, pack or recipe of a version this build does not read. */
  | 'unsupported-version'
  /** Well-formed, but over a limit of `limits.ts`. */
  | 'limit-exceeded'
  /** The input ends before it should. */
  | 'truncated'
  /** Bytes whose digest differs from the one asked for. */
  | 'digest-mismatch'
  /** A compressed stream that cannot be decompressed. */
  | 'invalid-compression'

export class IndexFormatError extends Error {
  override readonly name = 'IndexFormatError'
  readonly code: IndexFormatErrorCode

  constructor(code: IndexFormatErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
