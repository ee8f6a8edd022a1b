/**
 * One machine that runs containers: containerd and, beside it, the daemon. Both keep all their
 * files in the machine's own directory. A new machine has seen no image yet: it is "cold".
 */
import { join } from 'node:path'
import { Containerd } from './containerd.js'
import { unmountBelow } from './mounts.js'
import { ThinDaemon } from './thin-daemon.js'

export interface MachineOptions {
  readonly directory: string
  /**
   * Whether to start the daemon and register it with containerd as snapshotter `thin`. Default
   * true.
   */
  readonly thin?: boolean
  /** Path of the `containerd` program; default: the one on PATH. */
  readonly containerdProgram?: string
  /** Lines appended to the daemon's configuration file. The lines before them place its files. */
  readonly daemonConfig?: readonly string[]
}

export class Machine {
  readonly directory: string
  readonly containerd: Containerd
  readonly #daemon: ThinDaemon | undefined

  /** Starts the daemon (unless `thin` is false) and containerd. The caller closes the machine. */
  static async start(options: MachineOptions): Promise<Machine> {
    const { directory, thin = true, containerdProgram, daemonConfig = [] } = options
    const daemon = thin ? await ThinDaemon.start(join(directory, 'thin'), daemonConfig) : undefined
    try {
      const containerd = await Containerd.start({
        directory: join(directory, 'containerd'),
        snapshotters: daemon === undefined ? {} : { thin: daemon.socket },
        ...(containerdProgram === undefined ? {} : { program: containerdProgram }),
      })
      return new Machine(directory, containerd, daemon)
    } catch (error) {
      await daemon?.close()
      throw error
    }
  }

  private constructor(directory: string, containerd: Containerd, daemon: ThinDaemon | undefined) {
    this.directory = directory
    this.containerd = containerd
    this.#daemon = daemon
  }

  get daemon(): ThinDaemon {
    if (this.#daemon === undefined) throw new Error('this machine was started without the daemon')
    return this.#daemon
  }

  /** Ends containers, containerd and the daemon, and unmounts what they mounted. Idempotent. */
  async close(): Promise<void> {
    try {
      await this.containerd.close()
    } finally {
      await unmountBelow(join(this.directory, 'containerd'))
      await this.#daemon?.close()
      await unmountBelow(this.directory)
    }
  }
}
