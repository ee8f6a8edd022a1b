/** A client of the snapshots service over the real socket, like containerd's proxy plugin. */
import {
  type Client,
  type ClientReadableStream,
  credentials,
  makeClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js'
import {
  type InfoResponse,
  type ListResponse,
  loadSnapshotsService,
  type Mount,
  type MountsResponse,
  type SnapshotInfo,
  type UsageResponse,
} from '../../../../proto/index.js'

type Labels = Readonly<Record<string, string>>
type Unary = (
  request: object,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: unknown) => void,
) => void

const DEFAULT_DEADLINE_MS = 30_000

export class SnapshotsClient {
  readonly #client: Client

  constructor(address: string) {
    const constructor = makeClientConstructor(loadSnapshotsService(), 'Snapshots')
    this.#client = new constructor(`unix:${address}`, credentials.createInsecure())
  }

  close(): void {
    this.#client.close()
  }

  async prepare(key: string, parent = '', labels: Labels = {}): Promise<readonly Mount[]> {
    return (await this.#call<MountsResponse>('prepare', { key, parent, labels })).mounts
  }

  async view(key: string, parent = '', labels: Labels = {}): Promise<readonly Mount[]> {
    return (await this.#call<MountsResponse>('view', { key, parent, labels })).mounts
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    return (await this.#call<MountsResponse>('mounts', { key })).mounts
  }

  async commit(
    name: string,
    key: string,
    options: { labels?: Labels; parent?: string; deadlineMs?: number } = {},
  ): Promise<void> {
    const { labels = {}, parent = '', deadlineMs = DEFAULT_DEADLINE_MS } = options
    await this.#call('commit', { name, key, labels, parent }, deadlineMs)
  }

  async remove(key: string): Promise<void> {
    await this.#call('remove', { key })
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return infoOf(await this.#call<InfoResponse>('stat', { key }))
  }

  async update(
    info: Partial<SnapshotInfo> & { name: string },
    paths: readonly string[] = [],
  ): Promise<SnapshotInfo> {
    return infoOf(await this.#call<InfoResponse>('update', { info, updateMask: { paths } }))
  }

  async usage(key: string): Promise<{ size: number; inodes: number }> {
    const { size, inodes } = await this.#call<UsageResponse>('usage', { key })
    return { size: Number(size), inodes: Number(inodes) }
  }

  async cleanup(): Promise<void> {
    await this.#call('cleanup', {})
  }

  /** Yields the batches as they arrive. */
  async *list(...filters: string[]): AsyncGenerator<readonly SnapshotInfo[]> {
    const list = (this.#client as unknown as Record<string, unknown>)['list'] as (
      request: object,
    ) => ClientReadableStream<ListResponse>
    const batches: AsyncIterable<ListResponse> = list.call(this.#client, { filters })
    for await (const { info } of batches) yield info
  }

  async listAll(...filters: string[]): Promise<SnapshotInfo[]> {
    const all: SnapshotInfo[] = []
    for await (const batch of this.list(...filters)) all.push(...batch)
    return all
  }

  async #call<T>(method: string, request: object, deadlineMs = DEFAULT_DEADLINE_MS): Promise<T> {
    const unary = (this.#client as unknown as Record<string, Unary>)[method]
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs }
      unary?.call(this.#client, { snapshotter: 'thin', ...request }, options, (error, response) => {
        if (error === null) resolve(response as T)
        else reject(error)
      })
    })
  }
}

function infoOf({ info }: InfoResponse): SnapshotInfo {
  if (info === null) throw new Error('the answer has no info')
  return info
}
