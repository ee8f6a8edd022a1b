/**
 * The kinds of configuration keys. Each kind parses its value and describes the values it accepts.
 * Code, documentation and error messages use this description.
 */
import { isAbsolute, normalize } from 'node:path'
import { storePrefixFrom } from './store-prefix.js'
import { bytesFrom, millisecondsFrom } from './quantity.js'

export interface Key<T> {
  /**
   * The dotted path, as in `cache.size`. Within `[[store]]` and `[registry."host"]`, only the last
   * part.
   */
  readonly path: string
  /** The accepted values, in the words of the documentation and error messages. */
  readonly type: string
  /** The default as it would be written in the file; undefined for a key that must be given. */
  readonly fallback: string | number | boolean | readonly string[] | undefined
  /** The parsed value in a box, or undefined if `value` is not accepted. */
  parse(value: unknown): { readonly value: T } | undefined
}

interface Named<F> {
  readonly path: string
  readonly fallback: F
}

interface Bounds {
  readonly min: number
  readonly max: number
}

/** An absolute path. A `mountable` path may appear in mount options. */
export function pathKey(options: Named<string> & { mountable?: boolean }): Key<string> {
  const forbidden = options.mountable === true ? /[\0:,\\]/ : /\0/
  const without = options.mountable === true ? ' without colon, comma and backslash' : ''
  return {
    ...options,
    type: `absolute path${without}`,
    parse: (value) => {
      if (typeof value !== 'string' || !isAbsolute(value) || forbidden.test(value)) return undefined
      const path = normalize(value)
      return { value: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path }
    },
  }
}

const MAX_PATHS = 256

/** A list of absolute paths; empty by default. */
export function pathListKey(path: string): Key<readonly string[]> {
  const one = pathKey({ path, fallback: '' })
  return {
    path,
    fallback: [],
    type: `list of up to ${MAX_PATHS} absolute paths`,
    parse: (value) => {
      if (!Array.isArray(value) || value.length > MAX_PATHS) return undefined
      const paths = value.map((item: unknown) => one.parse(item)?.value)
      const known = paths.filter((item) => item !== undefined)
      return boxed(known.length === paths.length ? known : undefined)
    },
  }
}

/** As `pathKey`, but an empty text means no path. */
export function optionalPathKey(options: Named<''>): Key<string | undefined> {
  return optional({ ...pathKey(options), type: 'absolute path, or "" for none' })
}

export function sizeKey(options: Named<string> & Bounds): Key<number> {
  return {
    ...options,
    type: `size ("512MiB", "10GB") or bytes, ${rangeText(options, bytesText)}`,
    parse: (value) => within(bytesFrom(value), options),
  }
}

/** A duration. Values and bounds are milliseconds. */
export function durationKey(options: Named<string> & Bounds): Key<number> {
  return {
    ...options,
    type: `duration ("500ms", "1m30s") or seconds, ${rangeText(options, (ms) => `${ms / 1000}s`)}`,
    parse: (value) => within(millisecondsFrom(value), options),
  }
}

/**
 * As `durationKey`, but the text may be empty. Empty is the default. The value is then undefined,
 * and stands for the value of the key that `none` names.
 */
export function optionalDurationKey(
  options: { path: string; none: string } & Bounds,
): Key<number | undefined> {
  const one = durationKey({ ...options, fallback: '' })
  return optional({ ...one, type: `${one.type}, or "" for ${options.none}` })
}

export function countKey(options: Named<number> & Bounds): Key<number> {
  return {
    ...options,
    type: `whole number, ${rangeText(options, String)}`,
    parse: (value) => within(typeof value === 'number' ? value : undefined, options),
  }
}

export function choiceKey<T extends string>(options: Named<T> & { choices: readonly T[] }): Key<T> {
  return {
    ...options,
    type: `one of ${options.choices.map((choice) => `"${choice}"`).join(', ')}`,
    parse: (value) => boxed(options.choices.find((choice) => choice === value)),
  }
}

export function switchKey(options: Named<boolean>): Key<boolean> {
  return {
    ...options,
    type: 'true or false',
    parse: (value) => boxed(typeof value === 'boolean' ? value : undefined),
  }
}

/** A text without control characters. An empty text means no value. */
export function optionalTextKey(options: Named<''>): Key<string | undefined> {
  const control = /\p{Cc}/u
  return optional({
    ...options,
    type: 'text, or "" for none',
    parse: (value) => boxed(typeof value === 'string' && !control.test(value) ? value : undefined),
  })
}

export interface ListenAddress {
  /** A name or an IP address, without brackets. */
  readonly host: string
  readonly port: number
}

/** A TCP address to listen on. An empty text means none. */
export function listenKey(options: Named<''>): Key<ListenAddress | undefined> {
  const pattern = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/
  return optional<ListenAddress>({
    ...options,
    type: '"host:port", or "" for nowhere',
    parse: (value) => {
      const [, ipv6, name, digits] = typeof value === 'string' ? (pattern.exec(value) ?? []) : []
      const host = ipv6 ?? name
      const port = Number(digits)
      return boxed(host !== undefined && port >= 1 && port <= 65535 ? { host, port } : undefined)
    },
  })
}

const STORE_URL = /^(?:oci\+https?:\/\/[^/]+|https?:\/\/[^/]+|file:\/\/)\//

/** The beginning of a store's URL. */
export function storeUrlKey(path: string): Key<string> {
  return {
    path,
    fallback: undefined,
    type: 'URL of a store: oci+https://host/, oci+http://host/, https://host/, http://host/ or file:///',
    parse: (value) => boxed(isStoreUrl(value) ? value : undefined),
  }
}

const MAX_URLS = 16

export function storeUrlListKey(path: string): Key<readonly string[]> {
  return {
    path,
    fallback: undefined,
    type: `list of 1 to ${MAX_URLS} such URLs`,
    parse: (value) => {
      if (!Array.isArray(value) || value.length === 0 || value.length > MAX_URLS) return undefined
      const urls = value.filter(isStoreUrl)
      return boxed(urls.length === value.length ? urls : undefined)
    },
  }
}

const MAX_PREFIXES = 256

/** Beginnings of store URLs; see `store-prefix.ts`. */
export function storePrefixListKey(options: Named<readonly string[]>): Key<readonly string[]> {
  return {
    ...options,
    type: `list of up to ${MAX_PREFIXES} beginnings of store URLs`,
    parse: (value) => {
      if (!Array.isArray(value) || value.length > MAX_PREFIXES) return undefined
      const prefixes = value.filter(
        (one): one is string => typeof one === 'string' && storePrefixFrom(one) !== undefined,
      )
      return boxed(prefixes.length === value.length ? prefixes : undefined)
    },
  }
}

function isStoreUrl(value: unknown): value is string {
  return typeof value === 'string' && STORE_URL.test(value)
}

function optional<T>(key: Key<T> | Key<T | undefined>): Key<T | undefined> {
  return { ...key, parse: (value) => (value === '' ? { value: undefined } : key.parse(value)) }
}

function boxed<T>(value: T | undefined): { value: T } | undefined {
  return value === undefined ? undefined : { value }
}

function within(value: number | undefined, { min, max }: Bounds): { value: number } | undefined {
  const inRange = value !== undefined && Number.isSafeInteger(value) && value >= min && value <= max
  return inRange ? { value } : undefined
}

function rangeText({ min, max }: Bounds, text: (value: number) => string): string {
  return `${text(min)} to ${text(max)}`
}

/** The largest binary unit that gives a whole number. */
function bytesText(bytes: number): string {
  const units = ['TiB', 'GiB', 'MiB', 'KiB']
  const at = units.findIndex((_unit, index) => bytes % 2 ** (40 - 10 * index) === 0)
  return at < 0 || bytes === 0 ? `${bytes}B` : `${bytes / 2 ** (40 - 10 * at)}${units[at] ?? ''}`
}
