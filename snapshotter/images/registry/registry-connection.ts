/**
 * The connections to registries. All repositories of a `RegistryConnection` share its connection
 * pool and its authorizer.
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
   * The registries that are reached over HTTP without TLS. `loopback`, the default: registries on
   * this machine, as in containerd. `always`: all registries.
   */
  readonly plainHttp?: 'loopback' | 'always'
  /** Connections to one registry at a time. Default 8. */
  readonly connectionsPerOrigin?: number
  /** Whether the credentials of the registry at `url` may be sent to it. Default: always. */
  readonly mayCarryCredentials?: (url: URL) => boolean
}

export interface RegistryConnectionModules {
  /** Default: no credentials. */
  readonly credentials?: CredentialSource
  /** The caller closes it. Default: an agent that is opened and closed with this connection. */
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

  /** Opens no connection yet. The caller closes it. */
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
   * A repository of `registry`, which is host[:port] as in an image reference. `plainHttp` replaces
   * the rule of the option `plainHttp`, for URLs that name a scheme. Nothing is sent yet.
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

  /** Closes the connections that this object has opened. Requests on them fail. Idempotent. */
  async close(): Promise<void> {
    await this.#ownAgent?.destroy()
  }
}
