/** The thin image with a startup pack, made from recorded starts. */
import { join } from 'node:path'
import type { Contender, PublishedImage } from './contender.js'
import { convertedImage } from './converted-image.js'
import { ownMachine } from './own-machine.js'
import { sourceMounts } from '../cold-start/container-command.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'
import { recordedStart } from './recorded-start.js'
import type { Workload } from '../workloads/workload.js'

export const THIN_PROFILE: Contender = {
  name: 'thin-profile',
  unavailable: () => Promise.resolve(undefined),
  publish: optimizedImage,
  startMachine: (sandbox) => ownMachine(sandbox, 'thin'),
}

/** Comparing two runs shows which files a workload reads at random. */
const RUNS = 2

/**
 * Converts the image, records its start on a machine of its own, and publishes it with a startup
 * pack. `startupBytes` always counts what a single run reads, although the published image is made
 * from several runs.
 */
export async function optimizedImage(
  sandbox: Sandbox,
  workload: Workload,
  ordinary: string,
): Promise<PublishedImage> {
  const image = await convertedImage(sandbox, ordinary, 'thin-unprofiled', ['--no-guess'])
  const reference = `${ordinary.slice(0, ordinary.lastIndexOf(':'))}:thin-profile`
  const machine = await sandbox.startMachine()
  try {
    const recording = {
      workload,
      image,
      destination: reference,
      database: join(sandbox.directory, 'publish.db'),
      config: machine.daemon.config,
      containerdAddress: machine.containerd.address,
      mounts: sourceMounts(workload, join(machine.directory, 'sources')),
    }
    const startupBytes = await recordedStart({ ...recording, runs: 1 })
    await recordedStart({ ...recording, runs: RUNS })
    return { reference, startupBytes }
  } finally {
    await sandbox.closeMachine(machine)
  }
}
