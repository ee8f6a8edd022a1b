/** A machine with another project's snapshotter, beside a private containerd. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Containerd } from '../../../test/sandbox/containerd.js'
import { unmountBelow } from '../../../test/sandbox/mounts.js'
import { processesUsing } from '../../../test/sandbox/processes.js'
import type { Sandbox } from '../../../test/sandbox/sandbox.js'
import { Service } from '../../../test/sandbox/service.js'
import type { ContenderMachine } from '../contender.js'

/** The snapshotter's paths. The folders exist. */
export interface ForeignFolder {
  /** Folder for the snapshotter's state. */
  readonly root: string
  /** The unix socket on which the snapshotter must listen for containerd. */
  readonly socket: string
  /** Folder with the files of `ForeignSnapshotter.files`. */
  readonly directory: string
}

export interface ForeignSnapshotter {
  /** Name in containerd and in reports. */
  readonly name: string
  /** Files to write before the snapshotter starts: text by name. */
  readonly files: (folder: ForeignFolder) => Readonly<Record<string, string>>
  readonly command: (folder: ForeignFolder) => readonly string[]
  /** The command that pulls, given containerd's address. */
  readonly puller: (address: string) => readonly string[]
  readonly pullArguments: (reference: string) => readonly string[]
}

/**
 * The TOML configuration of a plain HTTP registry, for snapshotters that use containerd's resolver.
 */
export function plainHttpRegistry(host: string): string {
  const lines = [`[[resolver.host."${host}".mirrors]]`, `  host = "${host}"`, '  insecure = true']
  return `${lines.join('\n')}\n`
}

/**
 * Starts the snapshotter and containerd in a new folder of the sandbox. If one does not start,
 * throws an error with its log.
 */
export async function startForeignMachine(
  sandbox: Sandbox,
  snapshotter: ForeignSnapshotter,
): Promise<ContenderMachine> {
  const { name } = snapshotter
  const directory = mkdtempSync(join(sandbox.directory, `${name}-`))
  const folder = { directory, root: join(directory, 'root'), socket: join(directory, 's.sock') }
  mkdirSync(folder.root)
  for (const [file, text] of Object.entries(snapshotter.files(folder))) {
    writeFileSync(join(directory, file), text)
  }
  const services: Service[] = []
  const containerds: Containerd[] = []
  const close = async (): Promise<void> => {
    for (const containerd of containerds.splice(0)) await containerd.close()
    for (const service of services.splice(0)) await service.stop()
    // Processes that the snapshotter has started, such as filesystem servers.
    for (const pid of processesUsing(directory)) process.kill(pid, 'SIGKILL')
    await unmountBelow(directory)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const service = await Service.start({
      command: snapshotter.command(folder),
      logFile: join(directory, `${name}.log`),
      // stat(2) throws while there is no socket, which means "not yet".
      ready: async () => (await stat(folder.socket)).isSocket(),
    })
    services.push(service)
    const containerd = await Containerd.start({
      directory: join(directory, 'containerd'),
      snapshotters: { [name]: folder.socket },
    })
    containerds.push(containerd)
    return {
      containerd,
      snapshotter: name,
      puller: snapshotter.puller(containerd.address),
      pullArguments: snapshotter.pullArguments,
      processes: () => ({ [name]: service.pid }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
