/**
 * What an end-to-end test or a benchmark needs, in one temporary directory: a registry behind a
 * counting proxy, and machines that pull from it. `close` works in any state and leaves no process,
 * no mount and no file behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CountingProxy } from './proxy/counting-proxy.js'
import { Machine, type MachineOptions } from './machine.js'
import { unmountBelow } from './mounts.js'
import { processesUsing } from './processes.js'
import { runProgram } from './program.js'
import { Registry } from './registry.js'

/** Anything that ends and removes what it has started. */
export interface Closable {
  readonly close: () => Promise<void>
}
/** Long enough for images of gigabytes on a busy machine. */
const PUSH_TIMEOUT_MS = 600_000

export class Sandbox {
  readonly directory: string
  readonly registry: Registry
  readonly proxy: CountingProxy
  readonly #machines = new Set<Closable>()
  #machinesStarted = 0

  /** Starts the registry and its proxy. The caller closes it. */
  static async start(): Promise<Sandbox> {
    const directory = mkdtempSync(join(tmpdir(), 'thin-sandbox-'))
    try {
      const registry = await Registry.start(join(directory, 'registry'))
      const proxy = await CountingProxy.start(registry.port)
      return new Sandbox(directory, registry, proxy)
    } catch (error) {
      rmSync(directory, { recursive: true })
      throw error
    }
  }

  private constructor(directory: string, registry: Registry, proxy: CountingProxy) {
    this.directory = directory
    this.registry = registry
    this.proxy = proxy
  }

  /**
   * Starts a machine that has seen no image yet. `close` closes it, unless `closeMachine` has done
   * so.
   */
  async startMachine(options: Omit<MachineOptions, 'directory'> = {}): Promise<Machine> {
    this.#machinesStarted += 1
    const directory = join(this.directory, `machine-${this.#machinesStarted}`)
    const machine = await Machine.start({ ...options, directory })
    this.#machines.add(machine)
    return machine
  }

  /** Makes `close` also close `part`, unless `disown` is called first. */
  own(part: Closable): void {
    this.#machines.add(part)
  }

  disown(part: Closable): void {
    this.#machines.delete(part)
  }

  /** Closes a machine and removes its files. */
  async closeMachine(machine: Machine): Promise<void> {
    this.#machines.delete(machine)
    await machine.close()
    rmSync(machine.directory, { recursive: true, force: true })
  }

  /**
   * Reference, for `ctr` and `thinctl`, of an image of the private registry through the counting
   * proxy.
   */
  reference(nameAndTag: string): string {
    return `127.0.0.1:${this.proxy.port}/${nameAndTag}`
  }

  /**
   * Copies an image from an OCI layout (`dir:tag`) to the private registry and returns its
   * reference.
   */
  async push(layoutAndTag: string, nameAndTag: string): Promise<string> {
    const target = `docker://127.0.0.1:${this.registry.port}/${nameAndTag}`
    const flags = ['--insecure-policy', '--dest-tls-verify=false', '--quiet']
    await runProgram(['skopeo', 'copy', ...flags, `oci:${layoutAndTag}`, target], {
      timeoutMs: PUSH_TIMEOUT_MS,
    })
    return this.reference(nameAndTag)
  }

  /** Stops everything, unmounts everything, removes everything. Idempotent. */
  async close(): Promise<void> {
    const failures: unknown[] = []
    const parts = [...this.#machines, this.proxy, this.registry]
    this.#machines.clear()
    for (const part of parts) {
      await part.close().catch((error: unknown) => failures.push(error))
    }
    // Kill processes that were being started while the parts were closed.
    for (const pid of processesUsing(this.directory)) process.kill(pid, 'SIGKILL')
    await unmountBelow(this.directory)
    rmSync(this.directory, { recursive: true, force: true })
    if (failures.length > 0) {
      // mocha prints only the message of an AggregateError, so the message contains the causes.
      throw new AggregateError(
        failures,
        `closing ${this.directory}: ${failures.map(String).join('; ')}`,
      )
    }
  }
}
