/** A machine whose snapshotter is another project's program, beside a containerd of ours. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Containerd } from '../../../test/sandbox/containerd.js'
import { unmountBelow } from '../../../test/sandbox/mounts.js'
import { processesUsing } from '../../../test/sandbox/processes.js'
import type { Sandbox } from '../../../test/sandbox/sandbox.js'
import { Service } from '../../../test/sandbox/service.js'
import type { ContenderMachine } from '../contender.js'

/** Where the snapshotter keeps its things; the folders exist. */
export interface ForeignFolder {
  /** Its state. */
  readonly root: string
  /** Where it has to listen for containerd. */
  readonly socket: string
  /** Where the files of `ForeignSnapshotter.files` are. */
  readonly directory: string
}

export interface ForeignSnapshotter {
  /** As containerd and the reports call it. */
  readonly name: string
  /** Files that are written before it starts: name to text. */
  readonly files: (folder: ForeignFolder) => Readonly<Record<string, string>>
  readonly command: (folder: ForeignFolder) => readonly string[]
  /** What pulls, given containerd's address. */
  readonly puller: (address: string) => readonly string[]
  readonly pullArguments: (reference: string) => readonly string[]
}

/** How snapshotters that know containerd's resolver are told that a registry speaks plain HTTP: TOML. */
export function plainHttpRegistry(host: string): string {
  const lines = [`[[resolver.host."${host}".mirrors]]`, `  host = "${host}"`, '  insecure = true']
  return `${lines.join('\n')}\n`
}

/** Starts both in a new folder of the sandbox; throws with their logs when they do not start. */
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
    // What a snapshotter has started itself, such as a server of filesystems.
    for (const pid of processesUsing(directory)) process.kill(pid, 'SIGKILL')
    await unmountBelow(directory)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const service = await Service.start({
      command: snapshotter.command(folder),
      logFile: join(directory, `${name}.log`),
      // Throws while there is none, which means "not yet".
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
