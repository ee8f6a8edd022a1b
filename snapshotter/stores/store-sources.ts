/**
 * From the store URLs that recipes name to sources that can be read. The operator's mirrors come
 * first, one connection pool serves all trees of a store, and a tree whose store URL is nonsense
 * fails alone.
 */
import type { Agent } from 'undici'
import {
  type BlobSource,
  type ContentStats,
  createHttpAgent,
  FailoverSource,
  FusefsError,
  type HttpLimits,
  type Log,
  sourceFromUrl,
} from '../../fusefs/index.js'
import type { StoreMirror } from '../config/index.js'
import { type CredentialSource, RegistryConnection } from '../images/registry/index.js'

export interface StoreSourcesOptions {
  readonly mirrors: readonly StoreMirror[]
  readonly limits: Partial<HttpLimits>
  /** PEM texts, trusted beside the system's. */
  readonly certificateAuthorities: readonly string[]
}

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
  readonly #agent: Agent
  readonly #connection: RegistryConnection
  readonly #byUrl = new Map<string, BlobSource>()
  readonly #bySet = new Map<string, BlobSource>()

  private constructor(options: StoreSourcesOptions, modules: StoreSourcesModules, agent: Agent) {
    this.#options = options
    this.#modules = modules
    this.#agent = agent
    const { credentials } = modules
    this.#connection = RegistryConnection.open({}, { credentials, dispatcher: agent })
  }

  /** Sources are made when they are first needed. The caller closes this. */
  static create(options: StoreSourcesOptions, modules: StoreSourcesModules): StoreSources {
    const { limits, certificateAuthorities } = options
    const agent = createHttpAgent({
      limits,
      ...(certificateAuthorities.length > 0 && { certificateAuthorities }),
    })
    return new StoreSources(options, modules, agent)
  }

  /**
   * One source over all of `stores`, tried in order. Stays this object's to close. Throws
   * `fetch-failed` where there is none, `invalid-argument` for a URL that is no store's.
   */
  for(stores: readonly string[]): BlobSource {
    const key = stores.join(' ')
    const known = this.#bySet.get(key)
    if (known !== undefined) return known
    const sources = this.urlsOf(stores).map((url) => this.#source(url))
    const { log, stats } = this.#modules
    const [first] = sources
    const source =
      sources.length === 1 && first !== undefined
        ? first
        : FailoverSource.create({ sources }, { log, stats })
    if (this.#bySet.size >= MAX_REMEMBERED_SETS) this.#bySet.clear()
    this.#bySet.set(key, source)
    return source
  }

  /** Closes every connection. Idempotent. */
  async close(): Promise<void> {
    const sources = [...this.#byUrl.values()]
    this.#byUrl.clear()
    this.#bySet.clear()
    await Promise.all(sources.map((source) => source.close()))
    await this.#agent.destroy()
  }

  /** Registries, over the same connections and with the same credentials. */
  get registries(): RegistryConnection {
    return this.#connection
  }

  /** The URLs that are tried for `stores`, in order. Throws `fetch-failed` where there are none. */
  urlsOf(stores: readonly string[]): string[] {
    const candidates = new Set<string>()
    for (const url of stores) {
      const mirror = this.#options.mirrors.find(({ prefix }) => url.startsWith(prefix))
      for (const replacement of mirror?.replacements ?? []) {
        candidates.add(replacement + url.slice(mirror?.prefix.length))
      }
      candidates.add(url)
    }
    if (candidates.size > 0) return [...candidates]
    throw new FusefsError('fetch-failed', 'the recipe names no store; publish the image again')
  }

  #source(url: string): BlobSource {
    const known = this.#byUrl.get(url)
    if (known !== undefined) return known
    const { log, stats } = this.#modules
    const source = sourceFromUrl(
      { url, limits: this.#options.limits },
      { authorizer: this.#connection.authorizer, agent: this.#agent, log, stats },
    )
    this.#byUrl.set(url, source)
    return source
  }
}
