/**
 * The connections to one store that the operator named, or to all others: how far each of them may
 * lead differs, so none is shared between the two.
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
  /** PEM texts, trusted beside the system's. */
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

  /** `home`: the store that the operator named. Connects to nothing yet. The caller closes it. */
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

  async close(): Promise<void> {
    await this.agent.destroy()
  }
}
