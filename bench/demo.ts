/**
 * Takes one image through all steps on this machine: it is built from Debian packages, pushed,
 * converted, pulled and run, ordinary and thin side by side. Prints a table. Only the image in the
 * user's cache directory is left behind.
 */
import type { Contender, PublishedImage } from './contenders/contender.js'
import { OVERLAYFS } from './contenders/overlayfs.js'
import { THIN } from './contenders/thin.js'
import { type ColdStart, coldStart } from './cold-start/cold-start.js'
import { machineLine } from './machine-line.js'
import { textOf } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import type { Workload } from './workloads/workload.js'
import { DEBIAN_IMAGES, debianImage } from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'

const RUNS = 3
// HelloBench's task for python, extended by the version of python.
const PROGRAM = 'import sys; print("hello from python", sys.version.split()[0])'
const WORKLOAD: Workload = {
  name: 'python',
  image: (cache) => debianImage(cache, DEBIAN_IMAGES.python),
  command: ['python3', '-c', PROGRAM],
  env: [],
  sources: {},
  hostNetwork: false,
  ready: { kind: 'exit' },
}
const NETWORK = { name: 'loopback', roundTripMs: 0, bitsPerSecond: undefined }

function step(text: string): void {
  console.error(`demo: ${text}`)
}

step('building an image with python3 from Debian packages (kept for the next time)')
const image = await WORKLOAD.image(await ImageCache.open())

await withSandbox(async (sandbox) => {
  step(`starting a private registry and containerd in ${sandbox.directory}`)
  const ordinary = await sandbox.push(image, 'python:1')
  const entries: Entry[] = []
  for (const contender of [OVERLAYFS, THIN]) {
    step(`publishing for ${contender.name}`)
    const published = await contender.publish(sandbox, WORKLOAD, ordinary)
    entries.push({ contender, published, starts: [] })
  }
  step('ctr images pull, ctr containers create, ctr tasks start, on fresh machines in turn')
  for (let run = 1; run <= RUNS; run++) {
    for (const entry of run % 2 === 0 ? entries.toReversed() : entries) {
      await startOnce(sandbox, entry, run)
    }
  }
  console.log(await summary(entries))
})

interface Entry {
  readonly contender: Contender
  readonly published: PublishedImage
  readonly starts: ColdStart[]
}

async function startOnce(sandbox: Sandbox, entry: Entry, run: number): Promise<void> {
  const { contender, published, starts } = entry
  const { reference } = published
  const options = { workload: WORKLOAD, contender, reference, network: NETWORK, run }
  const start = await coldStart(sandbox, options)
  starts.push(start)
  const seconds = (start.record.totalMs / 1000).toFixed(2)
  step(`run ${run} of ${RUNS}, ${contender.name}: ready after ${seconds} s`)
}

async function summary(entries: readonly Entry[]): Promise<string> {
  const outputs = new Set(entries.flatMap(({ starts }) => starts.map(({ output }) => output)))
  if (outputs.size !== 1)
    throw new Error(`they did not print the same: ${[...outputs].join(' / ')}`)
  const table = textOf({
    name: 'Cold start: pull, create, run',
    method: `python3 -c '${PROGRAM}'; medians of ${RUNS} (lowest–highest)\n${await machineLine()}`,
    rows: entries.map(({ contender, starts }) => ({
      name: contender.name,
      samples: samplesOf(starts),
    })),
    claims: [],
  })
  const ratio = (pick: 'totalMs' | 'receivedBytes'): number => {
    const [ordinary, thin] = entries.map(({ starts }) =>
      medianOf(starts.map(({ record }) => record[pick])),
    )
    return (ordinary ?? NaN) / (thin ?? NaN)
  }
  return [
    table,
    `Both printed ${[...outputs].join().trim()}`,
    `The thin image was ready ${ratio('totalMs').toFixed(1)} times sooner ` +
      `and took ${(100 / ratio('receivedBytes')).toFixed(0)} % of the bytes.`,
  ].join('\n')
}

function samplesOf(starts: readonly ColdStart[]): Record<string, number[]> {
  const records = starts.map(({ record }) => record)
  return {
    'pull s': records.map(({ pullMs }) => pullMs / 1000),
    'create s': records.map(({ createMs }) => createMs / 1000),
    'run s': records.map(({ runMs }) => runMs / 1000),
    'total s': records.map(({ totalMs }) => totalMs / 1000),
    'received MB': records.map(({ receivedBytes }) => receivedBytes / 1e6),
    requests: records.map(({ requests }) => requests),
  }
}
