/** Containers that read checksummed files while faults are injected; and the verdict. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningContainer } from '../sandbox/containerd.js'
import type { ImagePair } from '../end-to-end/thin-images.js'
import type { Machine } from '../sandbox/machine.js'
import type { Sandbox } from '../sandbox/sandbox.js'
import {
  EXPECT_PROGRAM,
  EXPECTED_PATH,
  READ_PROGRAM,
  type ReaderReport,
  reportFrom,
} from './checksum-reader.js'
import { type FaultName, FAULTS } from './faults.js'
import { Random } from '../index-format/pack/random.js'

export interface FaultRunOptions {
  readonly image: ImagePair
  readonly readers: number
  readonly seconds: number
  readonly seed: number
  readonly kinds: readonly FaultName[]
}

export interface FaultRunResult {
  /** How often each fault was injected. */
  readonly faults: ReadonlyMap<FaultName, number>
  readonly readers: readonly ReaderReport[]
}

/** A reader gets this long for the file it is reading, and to print its report. */
const END_TIMEOUT_MS = 120_000

export async function runFaults(
  options: FaultRunOptions,
  target: { sandbox: Sandbox; machine: Machine },
): Promise<FaultRunResult> {
  const { image, kinds, seconds, seed } = options
  const { machine } = target
  const random = new Random(seed)
  const expected = await expectedChecksums(image, machine)
  await machine.containerd.pull(image.thin, 'thin')
  const readers: RunningContainer[] = []
  for (let at = 0; at < options.readers; at++) {
    const command = ['python3', '-B', '-c', READ_PROGRAM, String(seed + at)]
    const mount = `type=bind,src=${expected},dst=${EXPECTED_PATH},options=rbind:ro`
    const flags = ['--mount', mount]
    readers.push(
      await machine.containerd.start(image.thin, command, { snapshotter: 'thin', flags }),
    )
  }
  const faults = new Map<FaultName, number>()
  const endMs = performance.now() + seconds * 1000
  while (performance.now() < endMs) {
    const kind = kinds[random.below(kinds.length)]
    if (kind === undefined) throw new RangeError('no kinds of faults to choose from')
    await FAULTS[kind]({ ...target, random })
    faults.set(kind, (faults.get(kind) ?? 0) + 1)
    await sleep(random.below(400))
  }
  return { faults, readers: await endReaders(readers, machine) }
}

/** The checksums of the ordinary image's files, in a file on the host. */
async function expectedChecksums(image: ImagePair, { containerd }: Machine): Promise<string> {
  await containerd.pull(image.ordinary, 'overlayfs')
  const { stdout } = await containerd.run(image.ordinary, ['python3', '-B', '-c', EXPECT_PROGRAM], {
    snapshotter: 'overlayfs',
  })
  const path = join(containerd.directory, 'expected.json')
  writeFileSync(path, stdout)
  return path
}

async function endReaders(
  readers: readonly RunningContainer[],
  { containerd }: Machine,
): Promise<ReaderReport[]> {
  const reports: ReaderReport[] = []
  for (const reader of readers) {
    await containerd.remove(reader, END_TIMEOUT_MS)
    reports.push(reportFrom(readFileSync(reader.logFile, 'utf8')))
  }
  return reports
}

/** The result as text, with the distribution of the slowest reads. */
export function textOf({ faults, readers }: FaultRunResult): string {
  const pausesMs = readers.flatMap((reader) => reader.pausesMs).sort((a, b) => a - b)
  const quantile = (share: number): string =>
    String(pausesMs[Math.min(pausesMs.length - 1, Math.floor(share * pausesMs.length))] ?? 0)
  const sum = (of: (reader: ReaderReport) => number): number =>
    readers.reduce((total, reader) => total + of(reader), 0)
  return [
    `faults: ${[...faults].map(([name, count]) => `${name} ${count}`).join(', ')}`,
    `files read: ${sum(({ files }) => files)} (${Math.round(sum(({ bytes }) => bytes) / 1e6)} MB), ` +
      `programs run: ${sum(({ programs }) => programs)}`,
    `wrong bytes: ${sum(({ wrong }) => wrong.length)}, failed calls: ${sum(({ errors }) => errors.length)}`,
    `slowest ${pausesMs.length} reads, ms: median ${quantile(0.5)}, 90 % ${quantile(0.9)}, ` +
      `99 % ${quantile(0.99)}, longest ${quantile(1)}`,
  ].join('\n')
}
