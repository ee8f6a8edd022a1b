/**
 * Everything that an end-to-end test or a benchmark needs, private and in one temporary directory:
 * a registry behind a counting proxy, containerd, and the daemon. `close` leaves nothing behind, in
 * whatever state things are: no process, no mount, no file.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Containerd } from './containerd.js'
import { CountingProxy } from './counting-proxy.js'
import { unmountBelow } from './mounts.js'
import { runProgram } from './program.js'
import { Registry } from './registry.js'
import { ThinDaemon } from './thin-daemon.js'

export interface SandboxOptions {
  /** Start the daemon and make it known to containerd as snapshotter `thin`. Default true. */
  readonly thin?: boolean
  /** Path of another `containerd` program than the one on PATH. */
  readonly containerdProgram?: string
}

export class Sandbox {
  readonly directory: string
  readonly #parts: { close(): Promise<void> }[] = []
  #registry: Registry | undefined
  #proxy: CountingProxy | undefined
  #daemon: ThinDaemon | undefined
  #containerd: Containerd | undefined

  /** Starts everything. The caller closes it. */
  static async start(options: SandboxOptions = {}): Promise<Sandbox> {
    const sandbox = new Sandbox(mkdtempSync(join(tmpdir(), 'thin-sandbox-')))
    try {
      await sandbox.#start(options)
    } catch (error) {
      await sandbox.close()
      throw error
    }
    return sandbox
  }

  private constructor(directory: string) {
    this.directory = directory
  }

  get registry(): Registry {
    return started(this.#registry, 'registry')
  }

  get proxy(): CountingProxy {
    return started(this.#proxy, 'proxy')
  }

  get daemon(): ThinDaemon {
    return started(this.#daemon, 'daemon')
  }

  get containerd(): Containerd {
    return started(this.#containerd, 'containerd')
  }

  /** How `ctr` and `thinctl` name an image of the private registry, through the counting proxy. */
  reference(nameAndTag: string): string {
    return `127.0.0.1:${this.proxy.port}/${nameAndTag}`
  }

  /** Copies an image from an OCI layout (`dir:tag`) to the private registry; returns its reference. */
  async push(layoutAndTag: string, nameAndTag: string): Promise<string> {
    const target = `docker://127.0.0.1:${this.registry.port}/${nameAndTag}`
    const flags = ['--insecure-policy', '--dest-tls-verify=false', '--quiet']
    await runProgram(['skopeo', 'copy', ...flags, `oci:${layoutAndTag}`, target])
    return this.reference(nameAndTag)
  }

  /** Stops everything, unmounts everything, removes everything. Idempotent. */
  async close(): Promise<void> {
    const failures: unknown[] = []
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      await part.close().catch((error: unknown) => failures.push(error))
    }
    await unmountBelow(this.directory)
    rmSync(this.directory, { recursive: true, force: true })
    if (failures.length > 0) throw new AggregateError(failures, `closing ${this.directory}`)
  }

  async #start(options: SandboxOptions): Promise<void> {
    const snapshotters: Record<string, string> = {}
    this.#registry = await Registry.start(join(this.directory, 'registry'))
    this.#parts.push(this.#registry)
    this.#proxy = await CountingProxy.start(this.#registry.port)
    this.#parts.push(this.#proxy)
    if (options.thin !== false) {
      this.#daemon = await ThinDaemon.start(join(this.directory, 'thin'))
      this.#parts.push(this.#daemon)
      snapshotters['thin'] = this.#daemon.socket
    }
    const program = options.containerdProgram
    this.#containerd = await Containerd.start({
      directory: join(this.directory, 'containerd'),
      snapshotters,
      ...(program === undefined ? {} : { program }),
    })
    this.#parts.push(this.#containerd)
  }
}

function started<T>(part: T | undefined, name: string): T {
  if (part === undefined) throw new Error(`this sandbox has no ${name}`)
  return part
}
