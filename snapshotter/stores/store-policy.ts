/**
 * Which stores this node reads from. A recipe is written by the image's author, who may be anybody: it
 * names stores, and the operator says which of them count. What the operator named himself
 * (`[stores] allow`, mirrors, registries with a table) may be anywhere; of all others only the
 * internet, over TLS, unless `allow` says otherwise.
 */
import { realpathSync } from 'node:fs'
import { isIP } from 'node:net'
import {
  addressClass,
  type HostPort,
  type StoreUrl,
  storeUrlFromString,
} from '../../fusefs/index.js'
import type { Config, StoreMirror } from '../config/index.js'
import { type StorePrefix, storePrefixFrom } from '../config/store-prefix.js'
import { SnapshotterError } from '../errors.js'

export interface StorePolicyOptions {
  /** Beginnings of URLs, as in `[stores] allow`. */
  readonly allow: readonly string[]
  readonly mirrors: readonly StoreMirror[]
  readonly registries: Config['registries']
}

/** A store that may be read. */
export interface AllowedStore {
  readonly url: StoreUrl
  /** Where it is, if the operator named its host; its address is not questioned then. */
  readonly home: HostPort | undefined
}

export class StorePolicy {
  readonly #rules: StorePrefix[]
  readonly #registries: Config['registries']

  /** Throws `invalid-argument` for an entry of `allow` that is no beginning of a store's URL. */
  constructor(options: StorePolicyOptions) {
    const { allow, mirrors, registries } = options
    this.#registries = registries
    const configured = [...registries].flatMap(([host, { plainHttp }]) => [
      `oci+https://${apiHost(host)}/`,
      ...(plainHttp ? [`oci+http://${apiHost(host)}/`] : []),
    ])
    const replacements = mirrors.flatMap((mirror) => mirror.replacements)
    this.#rules = [...[...allow, ...configured].map(ruleFrom), ...replacements.map(mirrorRuleFrom)]
  }

  /**
   * The store behind `text`. Throws `failed-precondition`, saying what would allow it, where it is
   * not allowed, and what `storeUrlFromString` throws for a text that is no store's URL.
   */
  check(text: string): AllowedStore {
    const url = storeUrlFromString(text)
    const rules = this.#rules.filter((rule) => matches(rule, url))
    if (url.kind === 'file') {
      if (rules.length > 0 && this.#isRealPathAllowed(url)) return { url, home: undefined }
      throw refused(url.name, 'a recipe may not name folders of this machine', url.name)
    }
    const isNamed = rules.some((rule) => rule.kind === 'http' && rule.host !== undefined)
    if (isNamed) return { url, home: hostPortOf(url) }
    const reason = reasonToRefuse(url, rules)
    if (reason === undefined) return { url, home: undefined }
    throw refused(
      url.name,
      reason,
      `${url.kind === 'registry' ? 'oci+' : ''}${originOf(url).origin}/`,
    )
  }

  /** Whether the operator named this server, in any form. */
  isNamed(at: HostPort): boolean {
    return this.#rules.some(
      (rule) =>
        rule.kind === 'http' &&
        rule.host === at.host &&
        (rule.port === undefined || rule.port === at.port),
    )
  }

  /** `retry_for` in the table of the store's host; undefined where it is not set. */
  retryForMs(url: StoreUrl & { kind: 'registry' | 'static' }): number | undefined {
    const { host } = originOf(url)
    for (const [registry, { retryForMs }] of this.#registries) {
      if (apiHost(registry) === host) return retryForMs
    }
    return undefined
  }

  /** Whether credentials may go to `url`: over TLS, or in clear where the operator said so. */
  mayCarryCredentials(url: URL): boolean {
    return url.protocol === 'https:' || this.#registries.get(url.host)?.plainHttp === true
  }

  /** Allows stores below `prefix` until the returned function is called. */
  admit(prefix: string): () => void {
    const rule = ruleFrom(prefix)
    this.#rules.push(rule)
    return () => {
      const at = this.#rules.indexOf(rule)
      if (at >= 0) this.#rules.splice(at, 1)
    }
  }

  /** A link in the path must not lead out of what is allowed. A folder that is not there cannot be read. */
  #isRealPathAllowed(url: StoreUrl & { kind: 'file' }): boolean {
    let directory: string
    try {
      directory = realpathSync(url.directory)
    } catch {
      return true
    }
    return this.#rules.some(
      (rule) => rule.kind === 'file' && below(realDirectory(rule.directory), directory),
    )
  }
}

function ruleFrom(text: string): StorePrefix {
  const rule = storePrefixFrom(text)
  if (rule !== undefined) return rule
  throw new SnapshotterError('invalid-argument', `"${text}" is not the beginning of a store's URL`)
}

/** What a mirror puts in the place of a prefix may end within a name. */
function mirrorRuleFrom(text: string): StorePrefix {
  const rule = ruleFrom(text)
  if (text.endsWith('/')) return rule
  if (rule.kind === 'file') return { ...rule, directory: rule.directory.slice(0, -1) }
  return { ...rule, path: rule.path.slice(0, -1) }
}

function matches(rule: StorePrefix, url: StoreUrl): boolean {
  if (url.kind === 'file') return rule.kind === 'file' && below(rule.directory, url.directory)
  if (rule.kind === 'file' || rule.isRegistry !== (url.kind === 'registry')) return false
  const { protocol } = originOf(url)
  const at = hostPortOf(url)
  const path = url.kind === 'registry' ? `/${url.repository}/` : url.base.pathname
  return (
    rule.protocol === protocol &&
    (rule.host === undefined || rule.host === at.host) &&
    (rule.port === undefined || rule.port === at.port) &&
    path.startsWith(rule.path)
  )
}

/** Of a store whose host the operator did not name. Where a name leads is seen when it is connected to. */
function reasonToRefuse(
  url: StoreUrl & { kind: 'registry' | 'static' },
  rules: readonly StorePrefix[],
): string | undefined {
  const { host } = hostPortOf(url)
  const isLocal = host === 'localhost' || host.endsWith('.localhost')
  const found = isLocal ? 'loopback' : isIP(host) === 0 ? 'public' : addressClass(host)
  if (found !== 'public') return `its host is a ${found} address`
  if (rules.length > 0) return undefined
  return originOf(url).protocol === 'http:' ? 'it has no TLS' : 'it is not among those allowed'
}

function below(parent: string, directory: string): boolean {
  return `${directory.replace(/\/+$/, '')}/`.startsWith(parent)
}

function realDirectory(directory: string): string {
  try {
    return `${realpathSync(directory).replace(/\/+$/, '')}/`
  } catch {
    return directory
  }
}

function originOf(url: StoreUrl & { kind: 'registry' | 'static' }): URL {
  return url.kind === 'registry' ? new URL(url.origin) : url.base
}

function hostPortOf(url: StoreUrl & { kind: 'registry' | 'static' }): HostPort {
  const { hostname, port, protocol } = originOf(url)
  const defaultPort = protocol === 'https:' ? 443 : 80
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? defaultPort : Number(port),
  }
}

/** Docker Hub's name in configurations is not where its API is. */
function apiHost(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry
}

function refused(name: string, reason: string, prefix: string): SnapshotterError {
  return new SnapshotterError(
    'failed-precondition',
    `store ${name}, which a recipe names, is not allowed on this node: ${reason}; to allow it, ` +
      `add "${prefix}" to [stores] allow in the daemon's configuration`,
  )
}
