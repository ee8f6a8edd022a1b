/**
 * From the store URLs that recipes name to sources that can be read. The operator's mirrors come
 * first, and the operator's policy says which stores count. One connection pool serves all trees of a
 * store, and a tree whose store URL is nonsense fails alone.
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

/** Sets of stores that are remembered; a node has a handful. */
const MAX_REMEMBERED_SETS = 1024

export class StoreSources {
  readonly #options: StoreSourcesOptions
  readonly #modules: StoreSourcesModules
  readonly #policy: StorePolicy
  readonly #healths: OriginHealths
  /** By the host and port of the store; the empty key for those that the operator did not name. */
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

  /** Sources are made when they are first needed. The caller closes this. */
  static create(options: StoreSourcesOptions, modules: StoreSourcesModules): StoreSources {
    return new StoreSources(options, modules, new StorePolicy(options))
  }

  /**
   * One source over all of `stores` that are allowed, tried in order; where none is, reading from it
   * fails. Stays this object's to close. Throws `fetch-failed` where there are none at all,
   * `invalid-argument` for a URL that is no store's.
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
   * Throws `failed-precondition` where none of `stores` is allowed, `fetch-failed` where there are
   * none, `invalid-argument` for a URL that is no store's.
   */
  check(stores: readonly string[]): void {
    this.#allowed(stores)
  }

  /** The repository of the first of `stores` that is a registry's; undefined where none is. */
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

  /** Closes every connection. Idempotent. */
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

  /** Those of the candidates for `stores` that are allowed, in order; at least one. */
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

  /** The URLs that come into question for `stores`, in order. */
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

  /** The limits of one store: those of all stores, and what the table of its host says. */
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
