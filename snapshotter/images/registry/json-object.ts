/**
 * Reads JSON from outside, field by field. Each accessor checks the type of its field. It throws
 * `invalid-content` for a wrong type, and the message names the field. So a value really has the
 * type that TypeScript gives it.
 */
import { type Digest, isDigest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

export class JsonObject {
  /** The object as it was parsed. Its values are not checked. */
  readonly raw: Readonly<Record<string, unknown>>
  readonly #where: string

  constructor(raw: Readonly<Record<string, unknown>>, where: string) {
    this.raw = raw
    this.#where = where
  }

  /**
   * Parses UTF-8 JSON text. Throws `invalid-content` if it is not an object. `where` says in
   * messages where the text comes from.
   */
  static parse(bytes: Uint8Array, where: string): JsonObject {
    let value: unknown
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch (cause) {
      throw new SnapshotterError('invalid-content', `${where}: not JSON`, { cause })
    }
    return JsonObject.from(value, where)
  }

  static from(value: unknown, where: string): JsonObject {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new SnapshotterError('invalid-content', `${where}: expected a JSON object`)
    }
    return new JsonObject(value as Record<string, unknown>, where)
  }

  string(key: string): string {
    const value = this.optionalString(key)
    if (value === undefined) throw this.#wrong(key, 'a string')
    return value
  }

  optionalString(key: string): string | undefined {
    const value = this.#field(key)
    if (value === undefined || typeof value === 'string') return value
    throw this.#wrong(key, 'a string')
  }

  digest(key: string): Digest {
    const value = this.string(key)
    if (isDigest(value)) return value
    throw this.#wrong(key, 'a SHA-256 digest')
  }

  boolean(key: string): boolean {
    const value = this.#field(key)
    if (typeof value === 'boolean') return value
    throw this.#wrong(key, 'true or false')
  }

  /** A string that must be one of `values`. The message for any other lists all of them. */
  oneOf<T extends string>(key: string, values: readonly T[]): T {
    const text = this.optionalString(key)
    const value = values.find((one) => one === text)
    if (value !== undefined) return value
    throw this.#wrong(key, `one of ${values.join(', ')}`)
  }

  /** A whole number from 0 to `max`. */
  size(key: string, max: number): number {
    const value = this.#field(key)
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) {
      return value
    }
    throw this.#wrong(key, `a whole number from 0 to ${String(max)}`)
  }

  object(key: string): JsonObject {
    return JsonObject.from(this.#field(key), `${this.#where}: ${key}`)
  }

  optionalObject(key: string): JsonObject | undefined {
    return this.#field(key) === undefined ? undefined : this.object(key)
  }

  /** An array of at most `max` objects; empty if the field is absent or null. */
  objects(key: string, max: number): JsonObject[] {
    return this.#array(key, max).map((item, i) =>
      JsonObject.from(item, `${this.#where}: ${key}[${String(i)}]`),
    )
  }

  strings(key: string, max: number): string[] {
    return this.#array(key, max).map((item) => {
      if (typeof item === 'string') return item
      throw this.#wrong(key, 'strings only')
    })
  }

  /** An object whose values are all strings, such as annotations; `undefined` if it is absent. */
  optionalStringMap(key: string): Record<string, string> | undefined {
    const object = this.optionalObject(key)
    if (object === undefined) return undefined
    return Object.fromEntries(Object.keys(object.raw).map((name) => [name, object.string(name)]))
  }

  #array(key: string, max: number): unknown[] {
    const value = this.#field(key) ?? []
    if (Array.isArray(value) && value.length <= max) return value as unknown[]
    throw this.#wrong(key, `an array of at most ${String(max)} items`)
  }

  #field(key: string): unknown {
    if (!Object.hasOwn(this.raw, key)) return undefined
    return this.raw[key] ?? undefined
  }

  #wrong(key: string, expected: string): SnapshotterError {
    return new SnapshotterError('invalid-content', `${this.#where}: ${key} must be ${expected}`)
  }
}
