/**
 * The connections of this process to registries: one pool, one authorizer, any number of
 * repositories on top.
 */
import type { Agent, Dispatcher } from 'undici'
import { createHttpAgent } from '../../../fusefs/index.js'
import { RegistryAuthorizer } from './registry-authorizer.js'
import { type CredentialSource, anonymous } from './credentials.js'
import { apiOrigin, isLoopbackRegistry } from './reference.js'
import { RegistryClient } from './registry-client.js'
import { CONNECT_TIMEOUT_MS, REGISTRY_LIMITS } from './registry-limits.js'
import { Repository } from './repository.js'

export interface RegistryConnectionOptions {
  /**
   * Which registries speak HTTP without TLS. `loopback` (the default): those of this machine, as
   * containerd has it; `always`: all of them.
   */
  readonly plainHttp?: 'loopback' | 'always'
  /** Connections to one registry at a time. Default 8. */
  readonly connectionsPerOrigin?: number
  /** Whether the credentials of the registry at `url` may be sent there. Default: always. */
  readonly mayCarryCredentials?: (url: URL) => boolean
}

export interface RegistryConnectionModules {
  /** Default: anonymous. */
  readonly credentials?: CredentialSource
  /** Default: an agent of its own, closed with the connection. A given one stays the caller's. */
  readonly dispatcher?: Dispatcher
}

export class RegistryConnection {
  readonly authorizer: RegistryAuthorizer
  readonly #plainHttp: 'loopback' | 'always'
  readonly #client: RegistryClient
  readonly #ownAgent: Agent | undefined

  private constructor(
    options: RegistryConnectionOptions,
    dispatcher: Dispatcher,
    credentials: CredentialSource,
    ownAgent: Agent | undefined,
  ) {
    const { plainHttp = 'loopback', mayCarryCredentials } = options
    this.#plainHttp = plainHttp
    this.#ownAgent = ownAgent
    this.authorizer = new RegistryAuthorizer({ credentials, dispatcher, mayCarryCredentials })
    this.#client = new RegistryClient({ dispatcher, authorizer: this.authorizer })
  }

  static open(
    options: RegistryConnectionOptions = {},
    modules: RegistryConnectionModules = {},
  ): RegistryConnection {
    const limits = {
      ...REGISTRY_LIMITS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      connectionsPerOrigin: options.connectionsPerOrigin ?? 8,
    }
    const ownAgent = modules.dispatcher === undefined ? createHttpAgent({ limits }) : undefined
    const dispatcher = modules.dispatcher ?? ownAgent
    if (dispatcher === undefined) throw new TypeError('unreachable: one of the two exists')
    return new RegistryConnection(options, dispatcher, modules.credentials ?? anonymous, ownAgent)
  }

  /**
   * `registry` is host[:port] as in a reference. `plainHttp` overrides the connection's rule, for
   * URLs that say it. Nothing is sent.
   */
  repository(registry: string, repository: string, plainHttp?: boolean): Repository {
    const plain = plainHttp ?? this.usesPlainHttp(registry)
    return new Repository(
      { registry, repository, origin: apiOrigin(registry, plain) },
      { client: this.#client },
    )
  }

  usesPlainHttp(registry: string): boolean {
    return this.#plainHttp === 'always' || isLoopbackRegistry(registry)
  }

  /** Idempotent. Requests under way are ended. */
  async close(): Promise<void> {
    await this.#ownAgent?.destroy()
  }
}
