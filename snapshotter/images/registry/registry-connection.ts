/**
 * The connections of this process to registries: one pool, one authorizer, any number of
 * repositories on top.
 */
import { Agent, type Dispatcher } from 'undici'
import { RegistryAuthorizer } from './authorizer.js'
import { type CredentialSource, anonymous } from './credentials.js'
import { BODY_IDLE_TIMEOUT_MS, CONNECT_TIMEOUT_MS, HEADERS_TIMEOUT_MS } from './registry-limits.js'
import { apiOrigin, isLoopbackRegistry } from './reference.js'
import { Repository } from './repository.js'
import { Transport } from './transport.js'

export interface RegistryConnectionOptions {
  /**
   * Which registries speak HTTP without TLS. `loopback` (the default): those of this machine, as
   * containerd has it; `always`: all of them.
   */
  readonly plainHttp?: 'loopback' | 'always'
  /** Connections to one registry at a time. Default 8. */
  readonly connectionsPerOrigin?: number
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
  readonly #transport: Transport
  readonly #ownAgent: Agent | undefined

  private constructor(
    plainHttp: 'loopback' | 'always',
    dispatcher: Dispatcher,
    credentials: CredentialSource,
    ownAgent: Agent | undefined,
  ) {
    this.#plainHttp = plainHttp
    this.#ownAgent = ownAgent
    this.authorizer = new RegistryAuthorizer({ credentials, dispatcher })
    this.#transport = new Transport({ dispatcher, authorizer: this.authorizer })
  }

  static open(
    options: RegistryConnectionOptions = {},
    modules: RegistryConnectionModules = {},
  ): RegistryConnection {
    const ownAgent =
      modules.dispatcher === undefined
        ? new Agent({
            connections: options.connectionsPerOrigin ?? 8,
            connect: { timeout: CONNECT_TIMEOUT_MS },
            headersTimeout: HEADERS_TIMEOUT_MS,
            bodyTimeout: BODY_IDLE_TIMEOUT_MS,
          })
        : undefined
    const dispatcher = modules.dispatcher ?? ownAgent
    if (dispatcher === undefined) throw new TypeError('unreachable: one of the two exists')
    return new RegistryConnection(
      options.plainHttp ?? 'loopback',
      dispatcher,
      modules.credentials ?? anonymous,
      ownAgent,
    )
  }

  /**
   * `registry` is host[:port] as in a reference. `plainHttp` overrides the connection's rule, for
   * URLs that say it. Nothing is sent.
   */
  repository(registry: string, repository: string, plainHttp?: boolean): Repository {
    const plain = plainHttp ?? this.usesPlainHttp(registry)
    return new Repository(
      { registry, repository, origin: apiOrigin(registry, plain) },
      { transport: this.#transport },
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
