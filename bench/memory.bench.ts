/**
 * Memory of a daemon that serves 50 trees with 1,000,000 files in all, after walks over each tree.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import type { Report } from './report.js'
import { writeSmallFilesLayout } from './small-files-layout.js'
import { withSandbox } from './with-sandbox.js'
import type { Machine } from '../test/sandbox/machine.js'
import { processesUsing } from '../test/sandbox/processes.js'
import { runProgram } from '../test/sandbox/program.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

const IMAGES = 50
const DIRECTORIES = 100
const FILES_IN_EACH = 200
const FIRST_MTIME_SEC = 1_700_000_000
const MIB = 1024 ** 2

export const memoryBenchmark: Benchmark = {
  name: 'memory',
  description: 'memory of the daemon with 50 images of 1,000,000 files mounted (several minutes)',
  run: async (options) => [await measure(options)],
}

async function measure({ progress }: BenchmarkOptions): Promise<Report> {
  return withSandbox(async (sandbox) => {
    const references = await publish(sandbox, progress)
    const machine = await sandbox.startMachine()
    const atRest = await memoryOf(machine)
    const targets: string[] = []
    for (const [i, reference] of references.entries()) {
      const target = join(machine.directory, `mount-${i}`)
      await machine.containerd.pull(reference, 'thin')
      await machine.containerd.mountImage(reference, target, 'thin')
      targets.push(target)
      if ((i + 1) % 10 === 0) progress(`memory: ${i + 1} images mounted`)
    }
    const mounted = await memoryOf(machine)
    const found = await walk(targets)
    const walked = await memoryOf(machine)
    // A second walk shows memory that grows with every walk.
    await walk(targets)
    const again = await memoryOf(machine)
    for (const target of targets) await machine.containerd.unmountImage(target, 'thin')
    const stages = { 'at rest': atRest, mounted, 'walked once': walked, 'walked twice': again }
    return {
      name: `memory with ${IMAGES} images mounted`,
      method:
        `${found} files in all; find -ls in each image, twice; thinctl status, and VmRSS of every ` +
        'process of ours',
      rows: Object.entries(stages).map(([name, { daemonMib, keeperMib, frontMib }]) => ({
        name,
        samples: {
          'daemon MiB': [daemonMib],
          'keeper MiB': [keeperMib],
          'front MiB': [frontMib],
        },
      })),
      claims: [
        {
          text: 'memory of the daemon, MiB',
          value: Math.max(walked.daemonMib, again.daemonMib),
          limit: 150,
          relation: 'at most',
        },
      ],
    }
  })
}

/** Publishes the images, each with its own index. Returns their references. */
async function publish(sandbox: Sandbox, progress: (line: string) => void): Promise<string[]> {
  const layout = join(sandbox.directory, 'layout')
  const images = Array.from({ length: IMAGES }, (_, i) => ({
    tag: `small-${i}`,
    directories: DIRECTORIES,
    filesInEach: FILES_IN_EACH,
    mtimeSec: FIRST_MTIME_SEC + i,
  }))
  writeSmallFilesLayout(layout, images)
  const database = join(sandbox.directory, 'publish.db')
  const references: string[] = []
  for (const { tag } of images) {
    const reference = sandbox.reference(`${tag}:1-thin`)
    await thinctl(['convert', '--database', database, `oci:${layout}:${tag}`, reference])
    references.push(reference)
    if (references.length % 10 === 0) progress(`memory: ${references.length} images published`)
  }
  return references
}

/** Walks all images with find(1). Returns the number of regular files in all of them. */
async function walk(targets: readonly string[]): Promise<number> {
  let files = 0
  for (const target of targets) {
    const { stdout } = await runProgram(['sh', '-c', `find ${target} -type f -ls | wc -l`])
    files += Number(stdout)
  }
  if (files !== IMAGES * DIRECTORIES * FILES_IN_EACH) {
    throw new Error(`the walks saw ${files} files`)
  }
  return files
}

interface Memory {
  readonly daemonMib: number
  readonly keeperMib: number
  readonly frontMib: number
}

async function memoryOf({ daemon }: Machine): Promise<Memory> {
  await sleep(1000)
  const { stdout } = await thinctl(['status', '--json', '--config', daemon.config])
  const status = JSON.parse(stdout) as { memoryBytes: number; pid: number }
  const others = processesUsing(daemon.directory).filter((pid) => pid !== status.pid)
  const rssOf = (wanted: 'keeper' | 'front'): number =>
    others
      .filter(
        (pid) =>
          (commandOf(pid).startsWith('thin-snapshotter-keeper') ? 'keeper' : 'front') === wanted,
      )
      .reduce((sum, pid) => sum + residentBytes(pid), 0) / MIB
  return {
    daemonMib: status.memoryBytes / MIB,
    keeperMib: rssOf('keeper'),
    frontMib: rssOf('front'),
  }
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
}

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(match?.[1] ?? NaN) * 1024
}
