/**
 * Reads whole images: with the pull, then from the frame cache with cold page caches, then warm.
 * thin is compared with the same files unpacked on the local filesystem. One reader reads all files
 * in path order. Both must give the same digest.
 */
import { join } from 'node:path'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { dropCaches } from './drop-caches.js'
import type { Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import { DEBIAN_IMAGES, debianImage } from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import type { Machine } from '../test/sandbox/machine.js'
import { runProgram } from '../test/sandbox/program.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

export const readingBenchmark: Benchmark = {
  name: 'reading',
  description: 'all files of an image: pulled and read once, cache cold, warm; against overlayfs',
  run: async (options) => [await measure(options)],
}

interface Contender {
  readonly name: string
  readonly reference: string
  readonly snapshotter: string
  readonly pullAndReadMs: number[]
  readonly coldMs: number[]
  readonly warmMs: number[]
  readonly digests: Set<string>
}

async function measure({ runs, progress }: BenchmarkOptions): Promise<Report> {
  const image = await debianImage(await ImageCache.open(), DEBIAN_IMAGES.python)
  return withSandbox(async (sandbox) => {
    const ordinary = await sandbox.push(image, 'reading:1')
    const thin = sandbox.reference('reading:1-thin')
    await thinctl(['convert', '--database', join(sandbox.directory, 'publish.db'), ordinary, thin])
    const contenders = [
      contender('overlayfs', ordinary, 'overlayfs'),
      contender('thin', thin, 'thin'),
    ] as const
    for (let run = 0; run < runs; run++) {
      for (const one of run % 2 ? contenders.toReversed() : contenders)
        await measureOnce(sandbox, one)
      progress(`reading: run ${run + 1} of ${runs}`)
    }
    const [overlayfs, ours] = contenders
    const digests = new Set(contenders.flatMap(({ digests: seen }) => [...seen]))
    if (digests.size !== 1)
      throw new Error(`the contenders read different bytes: ${[...digests].join(', ')}`)
    return {
      name: 'reading a whole image',
      method:
        'find -type f | sort | xargs cat | sha256sum on the mounted python image, over loopback',
      rows: contenders.map(({ name, pullAndReadMs, coldMs, warmMs }) => ({
        name,
        samples: {
          'pull and read ms': pullAndReadMs,
          'page cache cold ms': coldMs,
          'warm ms': warmMs,
        },
      })),
      claims: [
        {
          text: 'pull and read once, thin ÷ overlayfs',
          value: medianOf(ours.pullAndReadMs) / medianOf(overlayfs.pullAndReadMs),
          limit: 1,
          relation: 'at most',
        },
        {
          text: 'throughput with cold page cache, thin ÷ local filesystem',
          value: medianOf(overlayfs.coldMs) / medianOf(ours.coldMs),
          limit: 0.6,
          relation: 'at least',
        },
        {
          text: 'throughput warm, thin ÷ local filesystem',
          value: medianOf(overlayfs.warmMs) / medianOf(ours.warmMs),
          limit: 0.95,
          relation: 'at least',
        },
      ],
    }
  })
}

function contender(name: string, reference: string, snapshotter: string): Contender {
  const none = { pullAndReadMs: [], coldMs: [], warmMs: [], digests: new Set<string>() }
  return { name, reference, snapshotter, ...none }
}

/** Measures on a new machine that has seen no image. */
async function measureOnce(sandbox: Sandbox, to: Contender): Promise<void> {
  const machine = await sandbox.startMachine()
  const target = join(machine.directory, 'mount')
  await dropCaches()
  const startedMs = performance.now()
  await machine.containerd.pull(to.reference, to.snapshotter)
  await machine.containerd.mountImage(to.reference, target, to.snapshotter)
  await readAll(target, to)
  to.pullAndReadMs.push(performance.now() - startedMs)
  await dropCaches()
  to.coldMs.push(await readAll(target, to))
  to.warmMs.push(await readAll(target, to))
  await end(sandbox, machine, target, to.snapshotter)
}

async function end(
  sandbox: Sandbox,
  machine: Machine,
  target: string,
  snapshotter: string,
): Promise<void> {
  await machine.containerd.unmountImage(target, snapshotter)
  await sandbox.closeMachine(machine)
}

/** Reads all files and adds their digest to `digests`. Returns the elapsed milliseconds. */
async function readAll(directory: string, { digests }: Contender): Promise<number> {
  const script = 'cd "$0" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum'
  const { elapsedMs, stdout } = await runProgram(['sh', '-c', script, directory])
  digests.add(stdout.trim())
  return elapsedMs
}
