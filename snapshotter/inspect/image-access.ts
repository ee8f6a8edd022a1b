/**
 * The resources of every command that looks into images: one registry connection, sources for
 * stores, and a temporary folder.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BlobSource,
  type ContentStats,
  createContentStats,
  createHttpAgent,
  DEFAULT_HTTP_LIMITS,
  FailoverSource,
  type Log,
  sourceFromUrl,
} from '../../fusefs/index.js'
import { SnapshotterError } from '../errors.js'
import { type ImageSource, openImageSource } from '../images/index.js'
import type { RegistryConnection, Repository } from '../images/registry/index.js'

export interface ImageAccessOptions {
  /** Folder in which the temporary folder is made. Default: the system's. */
  readonly tempParent?: string
}

export interface ImageAccessModules {
  /** Taken over: `ImageAccess.close` closes it. */
  readonly connection: RegistryConnection
  readonly log: Log
}

export class ImageAccess {
  /** The temporary folder. `close` removes it with everything in it. */
  readonly tempFolder: string
  readonly stats: ContentStats
  readonly #log: Log
  readonly #connection: RegistryConnection
  readonly #agent = createHttpAgent({ limits: DEFAULT_HTTP_LIMITS })
  readonly #closers: (() => Promise<void>)[] = []
  #closing: Promise<void> | undefined

  private constructor(tempFolder: string, { connection, log }: ImageAccessModules) {
    this.tempFolder = tempFolder
    this.stats = createContentStats()
    this.#connection = connection
    this.#log = log
  }

  /** Creates the temporary folder. The caller closes the result. */
  static async open(
    options: ImageAccessOptions,
    modules: ImageAccessModules,
  ): Promise<ImageAccess> {
    const folder = await mkdtemp(join(options.tempParent ?? tmpdir(), 'thinctl-'))
    return new ImageAccess(folder, modules)
  }

  /** Opens the image that a person names with `text`. `ImageAccess.close` closes it. */
  async image(text: string, signal: AbortSignal): Promise<ImageSource> {
    const { tempFolder } = this
    const modules = { connection: this.#connection }
    const source = await openImageSource(text, { tempFolder }, modules, signal)
    this.#closers.push(() => source.close())
    return source
  }

  /** A repository of a registry; see `RegistryConnection.repository`. */
  repository(registry: string, repository: string, plainHttp?: boolean): Repository {
    return this.#connection.repository(registry, repository, plainHttp)
  }

  /**
   * One source over all of `urls`, tried in order. `ImageAccess.close` closes it. Throws
   * `invalid-argument` if `urls` is empty.
   */
  stores(urls: readonly string[]): BlobSource {
    if (urls.length === 0) {
      throw new SnapshotterError('invalid-argument', 'no store is known; name one with --store URL')
    }
    const modules = {
      authorizer: this.#connection.authorizer,
      log: this.#log,
      stats: this.stats,
      agent: this.#agent,
    }
    const sources = urls.map((url) => sourceFromUrl({ url }, modules))
    const source = FailoverSource.create({ sources }, modules)
    this.#closers.push(() => source.close())
    return source
  }

  /** Closes connections and sources, and deletes the temporary folder. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const close of this.#closers) await close()
    await this.#connection.close()
    await this.#agent.destroy()
    await rm(this.tempFolder, { recursive: true, force: true })
  }
}
