/**
 * Makes readable sources from the store URLs that recipes name. The operator's mirrors are tried
 * first, and the operator's policy decides which stores may be read. All trees of a store share one
 * connection pool. A tree with a damaged store URL fails alone.
 */
import {
  type BlobSource,
  type ContentStats,
  FailoverSource,
  DEFAULT_HTTP_LIMITS,
  FusefsError,
  type HttpLimits,
  type Log,
  OriginHealths,
  sourceFromUrl,
} from '../../fusefs/index.js'
import { SnapshotterError } from '../errors.js'
import type { CredentialSource, Repository } from '../images/registry/index.js'
import { RefusedSource } from './refused-source.js'
import { StoreNetwork, type StoreNetworkOptions } from './store-network.js'
import { type AllowedStore, StorePolicy, type StorePolicyOptions } from './store-policy.js'

export type StoreSourcesOptions = StorePolicyOptions & StoreNetworkOptions

export interface StoreSourcesModules {
  readonly credentials: CredentialSource
  readonly log: Log
  readonly stats: ContentStats
}

/** Lists of stores whose source is kept, and refusals that are not logged again. A node has few. */
const MAX_REMEMBERED_SETS = 1024

export class StoreSources {
  readonly #options: StoreSourcesOptions
  readonly #modules: StoreSourcesModules
  readonly #policy: StorePolicy
  readonly #healths: OriginHealths
  /**
   * By the host and port of the store. The empty key is for all stores that the operator did not
   * name.
   */
  readonly #networks = new Map<string, StoreNetwork>()
  readonly #byUrl = new Map<string, BlobSource>()
  readonly #bySet = new Map<string, BlobSource>()
  readonly #refusalsLogged = new Set<string>()

  private constructor(
    options: StoreSourcesOptions,
    modules: StoreSourcesModules,
    policy: StorePolicy,
  ) {
    this.#options = options
    this.#modules = modules
    this.#policy = policy
    const { log, stats } = modules
    const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits }
    this.#healths = new OriginHealths(limits, { log, counters: stats })
  }

  /**
   * Sources are made when they are first needed. The caller closes the object. Throws
   * `invalid-argument` for an entry of `allow` that is not the beginning of a store URL.
   */
  static create(options: StoreSourcesOptions, modules: StoreSourcesModules): StoreSources {
    return new StoreSources(options, modules, new StorePolicy(options))
  }

  /**
   * One source for those of `stores` and their mirrors that are allowed. It tries them in order. If
   * none is allowed, each read from the source fails. This object closes the source. Throws
   * `fetch-failed` if `stores` is empty, `invalid-argument` for a text that is not a store URL.
   */
  for(stores: readonly string[]): BlobSource {
    const key = stores.join(' ')
    const known = this.#bySet.get(key)
    if (known !== undefined) return known
    const source = this.#sourceFor(stores)
    if (this.#bySet.size >= MAX_REMEMBERED_SETS) this.#bySet.clear()
    this.#bySet.set(key, source)
    return source
  }

  /**
   * Throws `failed-precondition` if none of `stores` and their mirrors is allowed, `fetch-failed`
   * if `stores` is empty, `invalid-argument` for a text that is not a store URL.
   */
  check(stores: readonly string[]): void {
    this.#allowed(stores)
  }

  /**
   * The repository of the first registry among the allowed ones of `stores` and their mirrors.
   * `undefined` if there is no registry among them. Throws as `check`.
   */
  repositoryOf(stores: readonly string[]): Repository | undefined {
    const found = this.#allowed(stores).find(({ url }) => url.kind === 'registry')
    if (found?.url.kind !== 'registry') return undefined
    const { host, protocol } = new URL(found.url.origin)
    const { registries } = this.#network(found)
    return registries.repository(host, found.url.repository, protocol === 'http:')
  }

  /** Allows stores below `prefix` until the returned function is called. */
  admit(prefix: string): () => void {
    const revoke = this.#policy.admit(prefix)
    return () => {
      revoke()
      this.#bySet.clear()
    }
  }

  /** Closes all sources and connections. Idempotent. */
  async close(): Promise<void> {
    const sources = [...this.#byUrl.values()]
    const networks = [...this.#networks.values()]
    this.#byUrl.clear()
    this.#bySet.clear()
    this.#networks.clear()
    await Promise.all(sources.map((source) => source.close()))
    await Promise.all(networks.map((network) => network.close()))
  }

  #sourceFor(stores: readonly string[]): BlobSource {
    const { log, stats } = this.#modules
    let allowed: AllowedStore[]
    try {
      allowed = this.#allowed(stores)
    } catch (error) {
      if (!(error instanceof SnapshotterError)) throw error
      return new RefusedSource(stores.join(', '), error)
    }
    const sources = allowed.map((store) => this.#source(store))
    const [first] = sources
    if (sources.length === 1 && first !== undefined) return first
    return FailoverSource.create({ sources }, { log, stats })
  }

  /** The allowed ones of `stores` and their mirrors, in order; at least one. Throws as `check`. */
  #allowed(stores: readonly string[]): AllowedStore[] {
    const allowed: AllowedStore[] = []
    const refusals: SnapshotterError[] = []
    for (const url of this.#candidates(stores)) {
      try {
        allowed.push(this.#policy.check(url))
      } catch (error) {
        if (!(error instanceof SnapshotterError)) throw error
        refusals.push(error)
        this.#logOnce(url, error)
      }
    }
    const [refusal] = refusals
    if (allowed.length === 0 && refusal !== undefined) throw refusal
    return allowed
  }

  /** The URLs of `stores`, each after those of its mirrors. */
  #candidates(stores: readonly string[]): Set<string> {
    const candidates = new Set<string>()
    for (const url of stores) {
      const mirror = this.#options.mirrors.find(({ prefix }) => url.startsWith(prefix))
      for (const replacement of mirror?.replacements ?? []) {
        candidates.add(replacement + url.slice(mirror?.prefix.length))
      }
      candidates.add(url)
    }
    if (candidates.size > 0) return candidates
    throw new FusefsError('fetch-failed', 'the recipe names no store; publish the image again')
  }

  #source(store: AllowedStore): BlobSource {
    const { name } = store.url
    const known = this.#byUrl.get(name)
    if (known !== undefined) return known
    const { log, stats } = this.#modules
    const { agent, registries } = this.#network(store)
    const source = sourceFromUrl(
      { url: name, limits: this.#limits(store) },
      { authorizer: registries.authorizer, agent, healths: this.#healths, log, stats },
    )
    this.#byUrl.set(name, source)
    return source
  }

  /**
   * The limits of one store: the limits of all stores, with the `retry_for` of the table of its
   * host.
   */
  #limits({ url }: AllowedStore): Partial<HttpLimits> {
    const { limits } = this.#options
    const retryForMs = url.kind === 'file' ? undefined : this.#policy.retryForMs(url)
    return retryForMs === undefined ? limits : { ...limits, retryForMs }
  }

  #network({ home }: AllowedStore): StoreNetwork {
    const key = home === undefined ? '' : `${home.host}:${home.port}`
    const known = this.#networks.get(key)
    if (known !== undefined) return known
    const modules = { policy: this.#policy, credentials: this.#modules.credentials }
    const network = StoreNetwork.create(home, this.#options, modules)
    this.#networks.set(key, network)
    return network
  }

  #logOnce(url: string, err: SnapshotterError): void {
    if (this.#refusalsLogged.has(url)) return
    if (this.#refusalsLogged.size >= MAX_REMEMBERED_SETS) this.#refusalsLogged.clear()
    this.#refusalsLogged.add(url)
    this.#modules.log.warn({ err, store: url }, 'a store that a recipe names is not read from')
  }
}
