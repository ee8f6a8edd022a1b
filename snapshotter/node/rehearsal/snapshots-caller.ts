/** Calls the snapshots service over its socket, as containerd's proxy plugin does. */
import { type Client, credentials, makeGenericClientConstructor } from '@grpc/grpc-js'
import { loadSnapshotsService, type MountsResponse } from '../../../proto/index.js'
import { SnapshotterError } from '../../errors.js'

/** Deadline of one call. */
const DEADLINE_MS = 5_000

export class SnapshotsCaller {
  readonly #client: Client
  readonly #service = loadSnapshotsService()

  /** `address`: path of the socket. The first call connects. The caller closes the client. */
  constructor(options: { address: string }) {
    const constructor = makeGenericClientConstructor(this.#service, 'Snapshots')
    this.#client = new constructor(`unix:${options.address}`, credentials.createInsecure())
  }

  async prepare(key: string, parent: string): Promise<MountsResponse> {
    return (await this.#call('Prepare', { key, parent })) as MountsResponse
  }

  async mounts(key: string): Promise<MountsResponse> {
    return (await this.#call('Mounts', { key })) as MountsResponse
  }

  async commit(name: string, key: string): Promise<void> {
    await this.#call('Commit', { name, key })
  }

  async stat(key: string): Promise<void> {
    await this.#call('Stat', { key })
  }

  async remove(key: string): Promise<void> {
    await this.#call('Remove', { key })
  }

  /** Idempotent. */
  close(): void {
    this.#client.close()
  }

  /** Throws `internal` with the service's message. */
  async #call(method: string, request: object): Promise<unknown> {
    const definition = this.#service[method]
    if (definition === undefined) {
      throw new SnapshotterError('internal', `the service has no method ${method}`)
    }
    const { path, requestSerialize, responseDeserialize } = definition
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + DEADLINE_MS },
        (error, response) => {
          if (error === null) resolve(response)
          else reject(new SnapshotterError('internal', `${method}: ${error.message}`))
        },
      )
    })
  }
}
