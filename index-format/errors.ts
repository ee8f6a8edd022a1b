/**
 * The one error class of this layer. The code is the kind of the error. The message names the
 * attempted action, the value and the limit. Callers decide by code, never by message.
 */

export type IndexFormatErrorCode =
  /** A digest that is not SHA-256, or not written as 64 lower-case hex digits. */
  | 'invalid-digest'
  /** A tar archive that breaks its own format. */
  | 'invalid-tar'
  /** A layer whose members cannot be applied: bad names, links out of the tree, loops. */
  | 'invalid-layer'
  /** An index whose rows contradict each other or the format. */
  | 'invalid-index'
  /** The answer lies in pages of an index that have not been fetched yet. */
  | 'incomplete-index'
  /** A pack or a frame that differs from what the pack's table claims. */
  | 'invalid-pack'
  /** A recipe that is not JSON of the known form. */
  | 'invalid-recipe'
  /** A profile that is not JSON of the known form. */
  | 'invalid-profile'
  /** A startup plan that is not JSON of the known form, or contradicts itself. */
  | 'invalid-startup-plan'
  /** An index, pack, recipe, profile or startup plan of a version that this build does not read. */
  | 'unsupported-version'
  /** Well-formed input that exceeds a limit of `limits.ts`. */
  | 'limit-exceeded'
  /** The input ends before it should. */
  | 'truncated'
  /** Bytes whose digest differs from the expected one. */
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
