/**
 * Access to registries for commands: with Docker's credentials, and without TLS where asked for.
 */
import {
  DockerConfigCredentials,
  RegistryConnection,
  dockerConfigPath,
} from '../images/registry/index.js'

export interface RegistryAccessOptions {
  /** True: HTTP without TLS to all registries. False: only to those on a loopback address. */
  readonly plainHttp: boolean
}

/** The caller closes the connection. */
export function openRegistryConnection(options: RegistryAccessOptions): RegistryConnection {
  const credentials = new DockerConfigCredentials({ path: dockerConfigPath(process.env) })
  const plainHttp = options.plainHttp ? 'always' : 'loopback'
  return RegistryConnection.open({ plainHttp }, { credentials })
}
