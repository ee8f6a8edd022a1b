/** How commands reach registries: Docker's credentials, and the option for registries without TLS. */
import {
  DockerConfigCredentials,
  RegistryConnection,
  dockerConfigPath,
} from '../images/registry/index.js'

export interface RegistryAccessOptions {
  /** All registries speak plain HTTP, not only those of this machine. */
  readonly plainHttp: boolean
}

/** The caller closes the connection. */
export function openRegistryConnection(options: RegistryAccessOptions): RegistryConnection {
  const credentials = new DockerConfigCredentials({ path: dockerConfigPath(process.env) })
  const plainHttp = options.plainHttp ? 'always' : 'loopback'
  return RegistryConnection.open({ plainHttp }, { credentials })
}
