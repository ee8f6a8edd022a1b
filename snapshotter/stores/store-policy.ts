/**
 * Decides which stores this node reads from. A recipe names stores, and its author may be anybody.
 * So the operator decides which of these stores may be read. A store whose host the operator named
 * (in `[stores] allow`, as a mirror, or with a registry's table) may have any address. Every other
 * store must be on the internet, and `allow` must have an entry that matches it. The default
 * entries match all hosts, but only over TLS.
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
  /** Beginnings of store URLs, as in `[stores] allow`. */
  readonly allow: readonly string[]
  readonly mirrors: readonly StoreMirror[]
  readonly registries: Config['registries']
}

/** A store that may be read. */
export interface AllowedStore {
  readonly url: StoreUrl
  /** The store's server if the operator named its host: it may have any address. */
  readonly home: HostPort | undefined
}

export class StorePolicy {
  readonly #rules: StorePrefix[]
  readonly #registries: Config['registries']

  /** Throws `invalid-argument` for an entry of `allow` that is not the beginning of a store URL. */
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
   * The store with the URL `text`. Throws `failed-precondition` if it is not allowed; the message
   * names the entry of `[stores] allow` that would allow it. Throws the errors of
   * `storeUrlFromString` for a text that is not a store URL.
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

  /** Whether any rule names this host and allows this port. */
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

  /**
   * Whether the folder is still in an allowed folder after its symbolic links are resolved. A
   * missing folder is allowed, because nothing can be read from it.
   */
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

/**
 * The rule for a mirror's replacement URL. The URL may end in the middle of a name. If it ends
 * without a slash, the rule does, too.
 */
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

/**
 * For a store whose host the operator did not name: the reason not to read it, or `undefined` if it
 * may be read. The address of a host name is checked later, when a connection is made.
 */
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

/** The host of a registry's API. For Docker Hub it differs from the name in the configuration. */
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
