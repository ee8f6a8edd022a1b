/** Walks over 100,000 files, for all names and attributes: cold and warm, thin against ext4. */
import { join } from 'node:path'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { dropCaches } from './drop-caches.js'
import { type FileTree, fileTreeImage } from './file-trees.js'
import type { Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { runProgram } from '../test/sandbox/program.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

const TREE: FileTree = {
  name: 'files-100000',
  directories: 1000,
  filesInEach: 100,
  sizeBytes: (file) => 100 + ((file * 37) % 8000),
}

export const metadataBenchmark: Benchmark = {
  name: 'metadata',
  description: 'find -ls over 100,000 files, cold and warm, against the same tree on ext4',
  run: async (options) => [await walks(options)],
}

async function walks({ runs, progress }: BenchmarkOptions): Promise<Report> {
  const image = await fileTreeImage(await ImageCache.open(), TREE)
  return withSandbox(async (sandbox) => {
    const ordinary = await sandbox.push(image, 'files:1')
    const thin = sandbox.reference('files:1-thin')
    await thinctl(['convert', '--database', join(sandbox.directory, 'publish.db'), ordinary, thin])
    const { containerd, directory } = await sandbox.startMachine()
    const contenders = [
      { name: 'ext4', reference: ordinary, snapshotter: 'overlayfs' },
      { name: 'thin', reference: thin, snapshotter: 'thin' },
    ].map((contender) => ({
      ...contender,
      target: join(directory, `mount-${contender.name}`),
      coldMs: [] as number[],
      warmMs: [] as number[],
    }))
    for (const { reference, snapshotter, target } of contenders) {
      await containerd.pull(reference, snapshotter)
      await containerd.mountImage(reference, target, snapshotter)
    }
    for (let run = 0; run < runs; run++) {
      for (const { target, coldMs, warmMs } of run % 2 ? contenders.toReversed() : contenders) {
        await dropCaches()
        await runProgram(['find', '/etc/hostname', '-ls'])
        coldMs.push(await walk(target))
        warmMs.push(await walk(target))
      }
      progress(`metadata: run ${run + 1} of ${runs}`)
    }
    const { stdout: fileSystem } = await runProgram([
      'findmnt',
      '-n',
      '-o',
      'FSTYPE',
      '-T',
      directory,
    ])
    const [ext4, thinContender] = contenders
    if (ext4 === undefined || thinContender === undefined) throw new Error('two contenders')
    for (const { snapshotter, target } of contenders) {
      await containerd.unmountImage(target, snapshotter)
    }
    return {
      name: 'walk of 100,000 files',
      method: `find -ls >/dev/null on the mounted image; the local filesystem is ${fileSystem.trim()}`,
      rows: contenders.map(({ name, coldMs, warmMs }) => ({
        name,
        samples: { 'cold ms': coldMs, 'warm ms': warmMs },
      })),
      claims: [
        {
          text: 'cold walk ÷ ext4',
          value: medianOf(thinContender.coldMs) / medianOf(ext4.coldMs),
          limit: 2,
          relation: 'at most',
        },
        {
          text: 'warm walk ÷ ext4',
          value: medianOf(thinContender.warmMs) / medianOf(ext4.warmMs),
          limit: 1.5,
          relation: 'at most',
        },
      ],
    }
  })
}

async function walk(directory: string): Promise<number> {
  const { elapsedMs, stdout } = await runProgram(['sh', '-c', `find ${directory} -ls | wc -l`])
  const expected = 1 + 1 + TREE.directories * (1 + TREE.filesInEach)
  if (Number(stdout) !== expected) {
    throw new Error(`find saw ${stdout.trim()} entries in ${directory}, expected ${expected}`)
  }
  return elapsedMs
}
