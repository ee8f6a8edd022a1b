/** A snapshot store and its service on a socket in a temporary directory, for one test. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { SnapshotsServer } from '../../../../snapshotter/node/service/snapshots-server.js'
import { AllowedDirectories } from '../../../../snapshotter/node/snapshots/allowed-directories.js'
import { HostDirectories } from '../../../../snapshotter/node/snapshots/host-directories.js'
import { HostDirectoryLayers } from '../../../../snapshotter/node/snapshots/host-directory-layers.js'
import { detectOverlayOptions } from '../../../../snapshotter/node/snapshots/overlay-options.js'
import { SnapshotStore } from '../../../../snapshotter/node/snapshots/snapshot-store.js'
import type { ThinLayers } from '../../../../snapshotter/node/snapshots/thin-layers.js'
import { unmountBelow } from '../../../sandbox/mounts.js'
import { SnapshotsClient } from './snapshots-client.js'

export class RunningService {
  readonly directory: string
  readonly root: string
  readonly address: string
  /** A directory for the test's own files. */
  readonly work: string
  readonly client: SnapshotsClient
  readonly store: SnapshotStore
  readonly #server: SnapshotsServer

  private constructor(
    directory: string,
    parts: { store: SnapshotStore; server: SnapshotsServer; client: SnapshotsClient },
  ) {
    this.directory = directory
    this.root = join(directory, 'root')
    this.work = join(directory, 'work')
    this.address = join(directory, 'run', 'thin.sock')
    this.store = parts.store
    this.client = parts.client
    this.#server = parts.server
  }

  /**
   * Starts a service. With the `directory` of a stopped service, it starts on the data of that
   * service.
   */
  static async start(
    options: {
      directory?: string
      address?: string
      thinLayers?: ThinLayers
      /** Prefixes of host directories that images may name. Default: the service's work folder. */
      allow?: readonly string[]
    } = {},
  ): Promise<RunningService> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'snap-')))
    const root = join(directory, 'root')
    await mkdir(join(directory, 'work'), { recursive: true })
    const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })
    const allowed = new AllowedDirectories(options.allow ?? [join(directory, 'work')])
    const thinLayers =
      options.thinLayers ??
      new HostDirectoryLayers(await HostDirectories.open(join(root, 'host'), { allowed }))
    const overlayOptions = await detectOverlayOptions()
    const store = await SnapshotStore.open({ root, overlayOptions }, { log, thinLayers })
    const address = join(directory, 'run', options.address ?? 'thin.sock')
    const server = await SnapshotsServer.start({ address }, { store, log })
    return new RunningService(directory, { store, server, client: new SnapshotsClient(address) })
  }

  /** Stops the service. Its directory stays. */
  async stop(): Promise<void> {
    this.client.close()
    await this.#server.close()
    await this.store.close()
  }

  /**
   * Stops the service, unmounts everything that a failed test left mounted, and removes all files.
   */
  async destroy(): Promise<void> {
    await this.stop()
    await unmountBelow(this.directory)
    await rm(this.directory, { recursive: true, force: true })
  }
}
