/**
 * The smallest container on a thin image, without containerd: a tiny image, pulled with the calls
 * that containerd makes, and an overlay mounted over its tree. Programs in it are ours.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import {
  makeRehearsalImage,
  type RehearsalImage,
} from '../../snapshotter/node/rehearsal/rehearsal-image.js'
import { StoreServer } from '../../snapshotter/serve/index.js'
import { SnapshotsClient } from '../snapshotter/node/service/snapshots-client.js'
import { runProgram, tryProgram } from './program.js'
import type { ThinDaemon } from './thin-daemon.js'

const READ_TIMEOUT_MS = 60_000

/** A store in this process, and tiny images whose content it has. */
export class TinyImages {
  readonly #folder: string
  readonly #server: StoreServer

  private constructor(folder: string, server: StoreServer) {
    this.#folder = folder
    this.#server = server
  }

  /** Serves `folder`, which is created. The caller closes it. */
  static async start(folder: string): Promise<TinyImages> {
    mkdirSync(folder, { recursive: true })
    const server = await StoreServer.start({ folder }, { log: pino({ level: 'silent' }) })
    return new TinyImages(folder, server)
  }

  /** A new image. Its file `a` comes with the pull, its file `b` when it is read. */
  async make(): Promise<RehearsalImage> {
    const image = await makeRehearsalImage(this.#folder, `oci+${this.#server.url}/tiny`)
    rmSync(join(this.#folder, 'index'))
    return image
  }

  async close(): Promise<void> {
    await this.#server.close()
  }
}

export class ThinContainer {
  /** The root directory that its programs would see. */
  readonly root: string
  readonly image: RehearsalImage

  private constructor(root: string, image: RehearsalImage) {
    this.root = root
    this.image = image
  }

  /**
   * Pulls `image` as snapshot `image-NAME`, prepares the snapshot NAME and mounts it at
   * `<daemon.directory>/containers/NAME`. The caller closes it.
   */
  static async start(
    daemon: ThinDaemon,
    name: string,
    image: RehearsalImage,
  ): Promise<ThinContainer> {
    const client = new SnapshotsClient(daemon.socket)
    try {
      const [unpacked] = await client.prepare(`extract-${name}`)
      for (const [file, bytes] of image.layer)
        writeFileSync(join(unpacked?.source ?? '', file), bytes)
      await client.commit(`image-${name}`, `extract-${name}`)
      const [mount] = await client.prepare(name, `image-${name}`)
      const root = join(daemon.directory, 'containers', name)
      mkdirSync(root, { recursive: true })
      const options = (mount?.options ?? []).join(',')
      await runProgram(['mount', '-t', 'overlay', '-o', options, 'overlay', root])
      return new ThinContainer(root, image)
    } finally {
      client.close()
    }
  }

  /** What a program in the container reads from one of the image's files. Throws if it cannot. */
  async read(name: 'a' | 'b'): Promise<Buffer> {
    const command = ['cat', join(this.root, name)]
    const { stdout } = await runProgram(command, {
      timeoutMs: READ_TIMEOUT_MS,
      encoding: 'latin1',
    })
    return Buffer.from(stdout, 'latin1')
  }

  /** What the image says that the file holds. */
  expected(name: 'a' | 'b'): Buffer {
    return Buffer.from(this.image.files.get(name) ?? [])
  }

  /** Unmounts. Idempotent. */
  async close(): Promise<void> {
    await tryProgram(['umount', '-c', '-l', this.root])
  }
}
