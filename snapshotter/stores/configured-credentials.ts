/** Credentials for registries, from the daemon's configuration or else from Docker's. */
import { readFile } from 'node:fs/promises'
import type { Config } from '../config/index.js'
import { SnapshotterError } from '../errors.js'
import {
  type Credential,
  type CredentialSource,
  DockerConfigCredentials,
} from '../images/registry/index.js'

export class ConfiguredCredentials implements CredentialSource {
  readonly #registries: Config['registries']
  readonly #docker: CredentialSource

  /** `dockerConfig`: the path of Docker's `config.json`. */
  constructor(options: { registries: Config['registries']; dockerConfig: string }) {
    this.#registries = options.registries
    this.#docker = new DockerConfigCredentials({ path: options.dockerConfig })
  }

  /**
   * The credential for `registry` (host[:port]). The password's file is read each time, so that a
   * rotated secret takes effect at once. Throws `internal` if it cannot be read, and the errors of
   * `DockerConfigCredentials`.
   */
  async credentialFor(registry: string): Promise<Credential | undefined> {
    const { username, passwordFile } = this.#registries.get(registry) ?? {}
    if (username === undefined || passwordFile === undefined) {
      return this.#docker.credentialFor(registry)
    }
    try {
      const text = await readFile(passwordFile, 'utf8')
      return { kind: 'password', username, password: text.replace(/\r?\n$/, '') }
    } catch (cause) {
      throw SnapshotterError.from(cause, `read the password for ${registry} from ${passwordFile}`)
    }
  }
}
