/** Builds the image of every workload, reports its size, and runs its task once. */
import { join } from 'node:path'
import type { Benchmark } from './benchmark.js'
import { type LayerSizes, layerSizesOf } from './layer-sizes.js'
import { type Report, textOf } from './report.js'
import { withSandbox } from './with-sandbox.js'
import { debianWorkload } from './workloads/debian-workload.js'
import { type Trial, tryWorkload } from './workloads/trial.js'
import type { Workload } from './workloads/workload.js'
import { WORKLOADS } from './workloads/workloads.js'
import { debianReleases } from '../test/sandbox/images/debian-release-images.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import type { Machine } from '../test/sandbox/machine.js'
import { runProgram } from '../test/sandbox/program.js'

/**
 * The same program in several releases. Other benchmarks measure only the sizes of these images.
 */
const RELEASES = debianReleases().map((image) =>
  debianWorkload(image, { command: ['python3', '-c', 'print("hello")'] }),
)

/** Long enough for gigabytes on a busy machine. */
const PULL_TIMEOUT_MS = 900_000

export const imagesBenchmark: Benchmark = {
  name: 'images',
  description: 'builds every image, and does its task once from overlayfs: sizes, files, output',
  run: async ({ progress }) => {
    const cache = await ImageCache.open()
    const report: Report = {
      name: 'the images and their tasks',
      method: 'ctr images pull and ctr run with overlayfs, once each, image just unpacked',
      rows: [],
      claims: [],
    }
    const rows: Report['rows'][number][] = []
    for (const workload of [...WORKLOADS, ...RELEASES]) {
      const row = await tryOne(cache, workload, progress)
      progress(textOf({ ...report, rows: [row] }))
      rows.push(row)
    }
    return [{ ...report, rows }]
  },
}

async function tryOne(
  cache: ImageCache,
  workload: Workload,
  progress: (line: string) => void,
): Promise<Report['rows'][number]> {
  const { name } = workload
  progress(`images ${name}: building, if it is not there`)
  const built = await workload.image(cache)
  const sizes = await layerSizesOf(built)
  return withSandbox(async (sandbox) => {
    const reference = await sandbox.push(built, `${name}:1`)
    const machine = await sandbox.startMachine({ thin: false })
    const pull = ['images', 'pull', '--plain-http', '--snapshotter', 'overlayfs', reference]
    await machine.containerd.ctr(pull, { timeoutMs: PULL_TIMEOUT_MS })
    const contents = await contentsOf(machine, reference)
    const { directory } = machine
    const options = { containerd: machine.containerd, reference, snapshotter: 'overlayfs' }
    const trial = await tryWorkload(workload, { ...options, directory })
    progress(`images ${name}: ${trial.output.trim().split('\n').at(-1) ?? ''}`)
    return { name, samples: samplesOf(sizes, contents, trial) }
  })
}

interface Contents {
  readonly files: number
  readonly packages: number
}

async function contentsOf(
  { containerd, directory }: Machine,
  reference: string,
): Promise<Contents> {
  const target = join(directory, 'contents')
  await containerd.mountImage(reference, target, 'overlayfs')
  const count = `find ${target} -xdev | wc -l; grep -cs ^Package: ${target}/var/lib/dpkg/status`
  const { stdout } = await runProgram(['sh', '-c', `${count} || true`])
  await containerd.unmountImage(target, 'overlayfs')
  const [files = 0, packages = 0] = stdout.split('\n').map(Number)
  return { files, packages }
}

function samplesOf(
  { layers, gzipBytes, rawBytes }: LayerSizes,
  { files, packages }: Contents,
  { readyMs }: Trial,
): Record<string, number[]> {
  return {
    packages: [packages],
    layers: [layers],
    'compressed MB': [gzipBytes / 1e6],
    'unpacked MB': [rawBytes / 1e6],
    files: [files],
    'ready s': [readyMs / 1000],
  }
}
