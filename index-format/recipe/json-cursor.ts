/**
 * A value inside a JSON document together with its path, so that errors name the path, as in
 * `$.layers[3].url`. Every value is checked before it is returned: the methods throw
 * `invalid-recipe`, `invalid-profile` or `invalid-startup-plan`.
 */
import { type Digest, digestFromString } from '../digest.js'
import { IndexFormatError } from '../errors.js'

/** The kind of the document: the first word of every message, and the end of the error's code. */
type Document = 'recipe' | 'profile' | 'startup-plan'

export class JsonCursor {
  readonly path: string
  readonly #value: unknown
  readonly #document: Document

  constructor(value: unknown, path = '$', document: Document = 'recipe') {
    this.#value = value
    this.#document = document
    this.path = path
  }

  /** Whether there is a value: neither absent nor null. */
  get present(): boolean {
    return this.#value !== undefined && this.#value !== null
  }

  /** The member `key` of an object. If there is none, the cursor's value is absent. */
  member(key: string): JsonCursor {
    if (typeof this.#value !== 'object' || this.#value === null || Array.isArray(this.#value)) {
      throw this.refused('an object')
    }
    const own = Object.hasOwn(this.#value, key)
    const members: Readonly<Record<string, unknown>> = { ...this.#value }
    return new JsonCursor(own ? members[key] : undefined, `${this.path}.${key}`, this.#document)
  }

  /** The elements of an array that has `min` to `max` elements. */
  elements(min: number, max: number): JsonCursor[] {
    const value = this.#value
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      throw this.refused(`an array of ${min} to ${max} elements`)
    }
    return value.map(
      (element: unknown, at) => new JsonCursor(element, `${this.path}[${at}]`, this.#document),
    )
  }

  /** A string of 1 to `maxBytes` bytes of UTF-8 without control characters. */
  text(maxBytes: number): string {
    const value = this.#value
    const clean = typeof value === 'string' && value !== '' && !/[\u0000-\u001f\u007f]/.test(value)
    if (!clean || Buffer.byteLength(value) > maxBytes) {
      throw this.refused(`a text of 1 to ${maxBytes} bytes without control characters`)
    }
    return value
  }

  /** An integer from `min` to `max`. */
  integer(min: number, max: number): number {
    const value = this.#value
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      throw this.refused(`an integer from ${min} to ${max}`)
    }
    return value
  }

  boolean(): boolean {
    if (typeof this.#value !== 'boolean') throw this.refused('true or false')
    return this.#value
  }

  /** A digest with its `sha256:` prefix. */
  digest(): Digest {
    try {
      return digestFromString(this.text(100), this.path)
    } catch (cause) {
      throw this.refused('sha256: and 64 lower-case hex digits', cause)
    }
  }

  /** A digest written as 64 hex digits alone, as CVMFS recipes have them. */
  hexDigest(): Digest {
    try {
      return digestFromString(`sha256:${this.text(100)}`, this.path)
    } catch (cause) {
      throw this.refused('64 lower-case hex digits', cause)
    }
  }

  /** The error for a value of another form than `expected`. */
  refused(expected: string, cause?: unknown): IndexFormatError {
    const shown = this.present ? JSON.stringify(this.#value).slice(0, 120) : 'missing'
    const message = `${this.#document}: ${this.path} is ${shown}; expected ${expected}`
    return new IndexFormatError(
      `invalid-${this.#document}`,
      message,
      cause === undefined ? {} : { cause },
    )
  }
}
