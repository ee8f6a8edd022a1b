/**
 * What a tree of 1,000,000 files costs the daemon: the time to register it and the memory to serve
 * it.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { type FileTree, fileTreeImage } from './file-trees.js'
import type { Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import { freePort } from '../test/sandbox/free-port.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import type { Machine } from '../test/sandbox/machine.js'
import { runProgram } from '../test/sandbox/program.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

const TREE: FileTree = {
  name: 'files-1000000',
  directories: 1000,
  filesInEach: 1000,
  sizeBytes: (file) => 1 + (file % 50),
}

/** Pulled first, so that what a daemon needs for its first tree of any size is not counted. */
const FIRST_TREE: FileTree = {
  name: 'files-1000',
  directories: 10,
  filesInEach: 100,
  sizeBytes: (file) => 1 + (file % 50),
}

export const millionFilesBenchmark: Benchmark = {
  name: 'million-files',
  description: 'register a tree of 1,000,000 files (the first run builds it: several minutes)',
  run: async (options) => [await measure(options)],
}

/**
 * Every run publishes the same image under another name, which makes another thin layer with the
 * same index. The first pull fetches the index. The later pulls find the index on the machine, so
 * that containerd's Commit only registers the tree.
 */
async function measure({ runs, progress }: BenchmarkOptions): Promise<Report> {
  progress('million-files: building the image, if it is not there')
  const cache = await ImageCache.open()
  const image = await fileTreeImage(cache, TREE)
  const firstImage = await fileTreeImage(cache, FIRST_TREE)
  return withSandbox(async (sandbox) => {
    const port = await freePort()
    const machine = await sandbox.startMachine({
      daemonConfig: ['[metrics]', `address = "127.0.0.1:${port}"`],
    })
    const commitMs: number[] = []
    const addedMib: number[] = []
    const database = join(sandbox.directory, 'publish.db')
    const first = sandbox.reference('first:1-thin')
    const firstOrdinary = await sandbox.push(firstImage, 'first:1')
    await thinctl(['convert', '--database', database, firstOrdinary, first])
    await machine.containerd.pull(first, 'thin')
    const firstTarget = join(machine.directory, 'first')
    await machine.containerd.mountImage(first, firstTarget, 'thin')
    await runProgram(['ls', '-lR', firstTarget])
    for (let run = 0; run <= runs; run++) {
      const ordinary = await sandbox.push(image, `million-${run}:1`)
      const thin = sandbox.reference(`million-${run}:1-thin`)
      await thinctl(['convert', '--database', database, ordinary, thin], { timeoutMs: 900_000 })
      const before = await commitSeconds(port)
      const memoryBefore = await memoryBytes(machine)
      await machine.containerd.pull(thin, 'thin')
      const target = join(machine.directory, `tree-${run}`)
      await machine.containerd.mountImage(thin, target, 'thin')
      await runProgram(['ls', '-l', join(target, 'tree/directory-500')])
      // The first run has also fetched and unpacked the index, so it is used for the memory only.
      if (run === 0) addedMib.push(((await memoryBytes(machine)) - memoryBefore) / 1024 ** 2)
      else commitMs.push(((await commitSeconds(port)) - before) * 1000)
      await machine.containerd.unmountImage(target, 'thin')
      progress(`million-files: run ${run} of ${runs}`)
    }
    if (medianOf(commitMs) === 0) throw new Error('the daemon does not say how long a Commit took')
    await machine.containerd.unmountImage(firstTarget, 'thin')
    return {
      name: 'tree of 1,000,000 files',
      method:
        'Commit of a thin layer whose index is local, from thin_snapshotter_call_duration_seconds; ' +
        'memory of the daemon from thinctl status, before the first pull of it and after ls -l of 1,000 files',
      rows: [{ name: 'thin', samples: { 'Commit ms': commitMs, 'added MiB': addedMib } }],
      claims: [
        { text: 'registered in ms', value: medianOf(commitMs), limit: 50, relation: 'at most' },
        { text: 'added MiB', value: medianOf(addedMib), limit: 20, relation: 'at most' },
      ],
    }
  })
}

/** Seconds that all calls of Commit have taken so far, from the daemon's metrics. */
async function commitSeconds(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
  const sums = [
    ...(await answer.text()).matchAll(/^thin_snapshotter_call_duration_seconds_sum\{.*$/gm),
  ]
  return sums
    .map(([line]) => line)
    .filter((line) => line.includes('method="Commit"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

async function memoryBytes(machine: Machine): Promise<number> {
  await sleep(500)
  const { stdout } = await thinctl(['status', '--json', '--config', machine.daemon.config])
  return (JSON.parse(stdout) as { memoryBytes: number }).memoryBytes
}
