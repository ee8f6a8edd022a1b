/** Cold start of several images on loopback, thin against overlayfs. */
import { join } from 'node:path'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { samplesOf } from './cold-start.js'
import { compareColdStarts } from './contenders.js'
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

interface Task {
  readonly image: DebianImage
  readonly command: readonly string[]
  /** The figures that are promised for this image. */
  readonly claimed: boolean
}

const TASKS: readonly Task[] = [
  {
    image: DEBIAN_IMAGES.python,
    command: ['python3', '-c', 'print("hello")'],
    claimed: true,
  },
  {
    image: DEBIAN_IMAGES.node,
    command: ['node', '-e', 'console.log("hello")'],
    claimed: false,
  },
]

export const coldStartBenchmark: Benchmark = {
  name: 'cold-start',
  description: 'pull, create and run on a machine that has not seen the image, over loopback',
  run: async (options) => {
    const reports: Report[] = []
    for (const task of TASKS) reports.push(await measure(task, options))
    return reports
  },
}

async function measure(task: Task, { runs, progress }: BenchmarkOptions): Promise<Report> {
  const { image, command, claimed } = task
  progress(`cold-start ${image.name}: building the image, if it is not there`)
  const built = await debianImage(await ImageCache.open(), image)
  return withSandbox(async (sandbox) => {
    const ordinary = await sandbox.push(built, `${image.name}:1`)
    const thin = sandbox.reference(`${image.name}:1-thin`)
    progress(`cold-start ${image.name}: converting`)
    await thinctl(['convert', '--database', join(sandbox.directory, 'publish.db'), ordinary, thin])
    const starts = await compareColdStarts(sandbox, { ordinary, thin, command, runs }, (line) => {
      progress(`cold-start ${image.name}: ${line}`)
    })
    const ratio = (pick: 'totalMs' | 'receivedBytes'): number =>
      medianOf(starts.overlayfs.map((start) => start[pick])) /
      medianOf(starts.thin.map((start) => start[pick]))
    return {
      name: `cold start of ${image.name}, loopback`,
      method:
        `${command.join(' ')}: ctr images pull, ctr containers create, ctr tasks start; ` +
        'new containerd and daemon, kernel caches dropped before every run',
      rows: [
        { name: 'overlayfs', samples: samplesOf(starts.overlayfs) },
        { name: 'thin', samples: samplesOf(starts.thin) },
      ],
      claims: claimed
        ? [
            {
              text: 'times faster than overlayfs, in all',
              value: ratio('totalMs'),
              limit: 5,
              relation: 'at least',
            },
            {
              text: 'share of the bytes',
              value: 1 / ratio('receivedBytes'),
              limit: 0.25,
              relation: 'at most',
            },
          ]
        : [],
    }
  })
}
