/**
 * A private docker-registry (CNCF distribution) on the loopback interface. It stores everything in
 * one directory.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './free-port.js'
import { Service } from './service.js'

export class Registry {
  readonly #service: Service
  readonly port: number
  /** The root directory of the registry's storage. */
  readonly storage: string

  /** Starts a registry on a free port, with all its files in `directory`. The caller closes it. */
  static async start(directory: string): Promise<Registry> {
    mkdirSync(directory, { recursive: true })
    const port = await freePort()
    const storage = join(directory, 'storage')
    const config = join(directory, 'config.yml')
    writeFileSync(
      config,
      [
        'version: 0.1',
        'log: {level: warn, accesslog: {disabled: true}}',
        `storage: {filesystem: {rootdirectory: ${storage}}, delete: {enabled: true}}`,
        `http: {addr: "127.0.0.1:${port}"}`,
        '',
      ].join('\n'),
    )
    const service = await Service.start({
      command: ['docker-registry', 'serve', config],
      logFile: join(directory, 'registry.log'),
      ready: async () => (await fetch(`http://127.0.0.1:${port}/v2/`)).ok,
    })
    return new Registry(service, port, storage)
  }

  private constructor(service: Service, port: number, storage: string) {
    this.#service = service
    this.port = port
    this.storage = storage
  }

  /** The file in which the registry keeps a blob. */
  blobPath(digest: string): string {
    const hex = digest.replace('sha256:', '')
    const blobs = 'docker/registry/v2/blobs/sha256'
    return join(this.storage, blobs, hex.slice(0, 2), hex, 'data')
  }

  /** Sends a signal to the registry. After SIGSTOP it accepts connections and never answers. */
  kill(signal: NodeJS.Signals): void {
    this.#service.kill(signal)
  }

  async close(): Promise<void> {
    await this.#service.stop(5_000)
  }
}
