/**
 * The second start of an image on the same node. Everything that it needs is local and in memory.
 */
import { join } from 'node:path'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import type { Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import {
  DEBIAN_IMAGES,
  type DebianImage,
  debianImage,
} from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

/**
 * Several starts per run, because a start takes a third of a second and the differences are only a
 * few hundredths of it.
 */
const STARTS_PER_RUN = 4

const TASKS: readonly { readonly image: DebianImage; readonly command: readonly string[] }[] = [
  { image: DEBIAN_IMAGES.python, command: ['python3', '-c', 'print("hello")'] },
  { image: DEBIAN_IMAGES.node, command: ['node', '-e', 'console.log("hello")'] },
]

export const warmStartBenchmark: Benchmark = {
  name: 'warm-start',
  description: 'start an image again on the same node, against overlayfs',
  run: async (options) => {
    const reports: Report[] = []
    for (const task of TASKS) reports.push(await measure(task, options))
    return reports
  },
}

async function measure(
  { image, command }: (typeof TASKS)[number],
  { runs, progress }: BenchmarkOptions,
): Promise<Report> {
  progress(`warm-start ${image.name}: building the image, if it is not there`)
  const built = await debianImage(await ImageCache.open(), image)
  return withSandbox(async (sandbox) => {
    const ordinary = await sandbox.push(built, `${image.name}:1`)
    const thin = sandbox.reference(`${image.name}:1-thin`)
    await thinctl(['convert', '--database', join(sandbox.directory, 'publish.db'), ordinary, thin])
    const { containerd } = await sandbox.startMachine()
    const overlayfs = { reference: ordinary, snapshotter: 'overlayfs', startMs: [] as number[] }
    const ours = { reference: thin, snapshotter: 'thin', startMs: [] as number[] }
    const contenders = [overlayfs, ours]
    const outputs = new Set<string>()
    for (const { reference, snapshotter } of contenders) {
      await containerd.pull(reference, snapshotter)
      outputs.add((await containerd.run(reference, command, { snapshotter })).stdout)
    }
    for (let run = 0; run < runs * STARTS_PER_RUN; run++) {
      for (const one of run % 2 ? contenders.toReversed() : contenders) {
        const { snapshotter } = one
        const { elapsedMs, stdout } = await containerd.run(one.reference, command, { snapshotter })
        one.startMs.push(elapsedMs)
        outputs.add(stdout)
      }
    }
    if (outputs.size !== 1) throw new Error(`different outputs: ${[...outputs].join(' / ')}`)
    return {
      name: `second start of ${image.name}`,
      method: `ctr run --rm: ${command.join(' ')}; ${runs * STARTS_PER_RUN} starts of each in turn, after one of each`,
      rows: contenders.map(({ snapshotter, startMs }) => ({
        name: snapshotter,
        samples: { 'start ms': startMs },
      })),
      claims: [
        {
          text: 'thin ÷ overlayfs',
          value: medianOf(ours.startMs) / medianOf(overlayfs.startMs),
          limit: 1.05,
          relation: 'at most',
        },
      ],
    }
  })
}
