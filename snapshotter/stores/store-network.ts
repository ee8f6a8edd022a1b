/**
 * The connections to one store that the operator named, or to all stores that are not named. Each
 * network has its own address policy, so networks share no connections.
 */
import type { Agent } from 'undici'
import {
  AddressPolicy,
  createHttpAgent,
  type HostPort,
  type HttpLimits,
} from '../../fusefs/index.js'
import { type CredentialSource, RegistryConnection } from '../images/registry/index.js'
import type { StorePolicy } from './store-policy.js'

export interface StoreNetworkOptions {
  readonly limits: Partial<HttpLimits>
  /** PEM texts, trusted in addition to the system's certificates. */
  readonly certificateAuthorities: readonly string[]
}

export interface StoreNetworkModules {
  readonly policy: StorePolicy
  readonly credentials: CredentialSource
}

export class StoreNetwork {
  readonly agent: Agent
  readonly registries: RegistryConnection

  private constructor(agent: Agent, registries: RegistryConnection) {
    this.agent = agent
    this.registries = registries
  }

  /**
   * `home` is the server of a store that the operator named; undefined for all other stores. Opens
   * no connection yet. The caller closes the network.
   */
  static create(
    home: HostPort | undefined,
    options: StoreNetworkOptions,
    modules: StoreNetworkModules,
  ): StoreNetwork {
    const { limits, certificateAuthorities } = options
    const { policy, credentials } = modules
    const addresses = new AddressPolicy({
      ...(home && { home }),
      isNamed: (at) => policy.isNamed(at),
      remedy: 'if that is right, add the host to [stores] allow',
    })
    const agent = createHttpAgent({
      limits,
      addresses,
      ...(certificateAuthorities.length > 0 && { certificateAuthorities }),
    })
    const registries = RegistryConnection.open(
      { mayCarryCredentials: (url) => policy.mayCarryCredentials(url) },
      { credentials, dispatcher: agent },
    )
    return new StoreNetwork(agent, registries)
  }

  /** Closes all connections. Requests on them fail. Idempotent. */
  async close(): Promise<void> {
    await this.agent.destroy()
  }
}
