/**
 * Warm open, read and close of small files under an overlayfs mount: the cost for a running
 * program.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { type FileTree, fileTreeImage } from './file-trees.js'
import type { Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { runProgram } from '../test/sandbox/program.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

const TREE: FileTree = {
  name: 'files-8k',
  directories: 10,
  filesInEach: 100,
  sizeBytes: () => 8192,
}
const ROUNDS = 20

export const smallFilesBenchmark: Benchmark = {
  name: 'small-files',
  description: 'warm open+read+close of 8 KiB files under overlayfs, thin lower against ext4 lower',
  run: async (options) => [await measure(options)],
}

async function measure({ runs, progress }: BenchmarkOptions): Promise<Report> {
  const image = await fileTreeImage(await ImageCache.open(), TREE)
  return withSandbox(async (sandbox) => {
    const ordinary = await sandbox.push(image, 'small:1')
    const thin = sandbox.reference('small:1-thin')
    await thinctl(['convert', '--database', join(sandbox.directory, 'publish.db'), ordinary, thin])
    const program = join(sandbox.directory, 'open-read-close')
    const source = fileURLToPath(new URL('../../bench/open-read-close.c', import.meta.url))
    await runProgram(['gcc', '-O2', '-o', program, source])
    const { containerd, directory } = await sandbox.startMachine()
    const contenders = [
      { name: 'ext4 under overlayfs', reference: ordinary, snapshotter: 'overlayfs' },
      { name: 'thin under overlayfs', reference: thin, snapshotter: 'thin' },
    ].map((contender, i) => ({
      ...contender,
      target: join(directory, `mount-${i}`),
      us: [] as number[],
    }))
    for (const { reference, snapshotter, target } of contenders) {
      await containerd.pull(reference, snapshotter)
      await containerd.mountImage(reference, target, snapshotter, { writable: true })
      await openReadClose(program, target)
    }
    for (let run = 0; run < runs; run++) {
      for (const { target, us } of run % 2 ? contenders.toReversed() : contenders) {
        us.push(await openReadClose(program, target))
      }
      progress(`small-files: run ${run + 1} of ${runs}`)
    }
    const [ext4, ours] = contenders.map(({ us }) => medianOf(us))
    for (const { snapshotter, target } of contenders) {
      await containerd.unmountImage(target, snapshotter)
    }
    return {
      name: 'warm open+read+close of 8 KiB files',
      method: `${TREE.directories * TREE.filesInEach} files, ${ROUNDS} rounds, bench/open-read-close.c`,
      rows: contenders.map(({ name, us }) => ({ name, samples: { 'µs each': us } })),
      claims: [
        {
          text: 'thin ÷ ext4',
          value: (ours ?? NaN) / (ext4 ?? NaN),
          limit: 2,
          relation: 'at most',
        },
      ],
    }
  })
}

/** Returns the microseconds that open, read and close of one file take. */
async function openReadClose(program: string, directory: string): Promise<number> {
  const files = await runProgram(['find', directory, '-type', 'f'])
  const { stdout } = await runProgram([program, String(ROUNDS)], { input: files.stdout })
  return Number(stdout) / 1000
}
