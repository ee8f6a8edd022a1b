/** A content store with a server of packs, in a temporary folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BlobSource,
  ContentStore,
  type ContentStoreOptions,
  createContentStats,
  type HttpLimits,
  type OriginHealths,
  sourceFromUrl,
} from '../../../fusefs/index.js'
import { hexOf } from '../../../index-format/index.js'
import { BlobServer } from './blob-server.js'
import type { PackFixture } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

/** Time limits short enough for tests. Other limits are as in production. */
const QUICK_HTTP: Partial<HttpLimits> = {
  headersTimeoutMs: 1000,
  bodyInactivityTimeoutMs: 1000,
  backOffBaseMs: 2,
  backOffCapMs: 10,
  maxAttempts: 2,
}

export class ContentHarness {
  readonly log = createTestLog()
  readonly stats = createContentStats()
  /** Clock and waits of the stores that are opened from now on. Default: the system's. */
  patience: Parameters<typeof ContentStore.open>[1]['patience'] & object = {}
  readonly directory: string
  readonly server: BlobServer
  readonly source: BlobSource
  /** Used by sources that are made from now on. Default: the health of servers is not known. */
  healths: OriginHealths | undefined
  readonly #closers: (() => Promise<void>)[] = []

  private constructor(directory: string, server: BlobServer) {
    this.directory = directory
    this.server = server
    this.source = this.sourceAt(server)
  }

  static async start(packs: readonly PackFixture[]): Promise<ContentHarness> {
    const server = await BlobServer.start(blobsOf(packs))
    return new ContentHarness(mkdtempSync(join(tmpdir(), 'content-')), server)
  }

  get cacheDir(): string {
    return join(this.directory, 'cache')
  }

  /** A source for a server. `stop` closes it. */
  sourceAt(server: BlobServer, limits: Partial<HttpLimits> = {}): BlobSource {
    const options = { url: server.origin, limits: { ...QUICK_HTTP, ...limits } }
    const { healths, log, stats } = this
    const source = sourceFromUrl(options, { healths, log, stats })
    this.#closers.push(() => source.close())
    return source
  }

  /** Another server of the same packs. `stop` stops it. */
  async secondServer(packs: readonly PackFixture[]): Promise<BlobServer> {
    const server = await BlobServer.start(blobsOf(packs))
    this.#closers.push(() => server.stop())
    return server
  }

  /** Opens the store. `stop` closes it if it is still open. */
  async open(options: ContentStoreOptions = {}): Promise<ContentStore> {
    const all = { cacheDir: this.cacheDir, ...options }
    const { log, patience, stats } = this
    const store = await ContentStore.open(all, { log, patience, stats })
    this.#closers.push(() => store.close())
    return store
  }

  async stop(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
    await this.server.stop()
    rmSync(this.directory, { recursive: true })
  }
}

function blobsOf(packs: readonly PackFixture[]): Map<string, Buffer> {
  return new Map(packs.map(({ table, stored }) => [`/blobs/sha256/${hexOf(table.digest)}`, stored]))
}
