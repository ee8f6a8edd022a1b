/**
 * stargz-snapshotter with eStargz images: one as converted, and one optimized for the workload,
 * which corresponds to our recorded profile. Configuration and commands are those of version 0.12.
 */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, PublishedImage } from './contender.js'
import { missingPrograms } from './foreign/missing-programs.js'
import { QUIET } from './own-machine.js'
import { plainHttpRegistry, startForeignMachine } from './foreign/foreign-machine.js'
import { withPublisher } from './foreign/publisher.js'
import { runProgram } from '../../test/sandbox/program.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'
import type { Workload } from '../workloads/workload.js'

/** How long `optimize` watches a program that does not end by itself. */
const WATCH_SECONDS = 10
const CONVERSION_TIMEOUT_MS = 1_800_000

const PROGRAMS = ['ctr-remote', 'containerd-stargz-grpc']

export const STARGZ: Contender = {
  name: 'stargz',
  unavailable: () => Promise.resolve(missingPrograms(PROGRAMS)),
  publish: (sandbox, workload, ordinary) =>
    publish(sandbox, ordinary, `${workload.name}:1-estargz`, () => Promise.resolve([])),
  startMachine,
}

export const STARGZ_OPTIMIZED: Contender = {
  name: 'stargz-optimized',
  unavailable: () => Promise.resolve(missingPrograms(PROGRAMS)),
  publish: (sandbox, workload, ordinary) =>
    publish(sandbox, ordinary, `${workload.name}:1-estargz-optimized`, async (publisher) => [
      '--estargz-record-in',
      await recordOf(workload, ordinary, publisher),
    ]),
  startMachine,
}

/** A containerd that has pulled the ordinary image. */
interface Publisher {
  /** The command `ctr-remote images` with containerd's address. */
  readonly images: readonly string[]
  /** A folder for files of the conversion. */
  readonly directory: string
}

/** Converts and pushes an image. `more` returns further flags of the conversion. */
async function publish(
  sandbox: Sandbox,
  ordinary: string,
  target: string,
  more: (publisher: Publisher) => Promise<readonly string[]>,
): Promise<PublishedImage> {
  const reference = sandbox.reference(target)
  await withPublisher(sandbox, async (containerd, directory) => {
    await containerd.pull(ordinary, 'overlayfs')
    const images = ['ctr-remote', '--address', containerd.address, 'images']
    const options = ['--oci', '--estargz', ...(await more({ images, directory }))]
    const convert = [...images, 'convert', ...options, ordinary, reference]
    await runProgram(convert, { timeoutMs: CONVERSION_TIMEOUT_MS })
    await containerd.ctr(['images', 'push', '--plain-http', reference], {
      timeoutMs: CONVERSION_TIMEOUT_MS,
    })
  })
  return { reference }
}

/**
 * Runs the workload and records the files that it opens. The conversion then puts these files
 * first. `optimize` would also convert, but refuses images in which a layer does not name the
 * parent directories of its files. By then it has written the record.
 */
async function recordOf(
  workload: Workload,
  ordinary: string,
  { images, directory }: Publisher,
): Promise<string> {
  const record = join(directory, 'record')
  const words = [...optimizing(workload, directory), '--record-out', record]
  try {
    await runProgram([...images, ...words, '--oci', ordinary, `${ordinary}-recorded`], {
      timeoutMs: CONVERSION_TIMEOUT_MS,
    })
  } catch (error) {
    if (!existsSync(record) || statSync(record).size === 0) throw error
  }
  return record
}

function optimizing(workload: Workload, directory: string): string[] {
  const [program = '', ...args] = workload.command
  const words = ['optimize', '--period', String(WATCH_SECONDS)]
  words.push('--entrypoint', JSON.stringify([program]), '--args', JSON.stringify(args))
  for (const variable of workload.env) words.push('--env', variable)
  if (workload.hostNetwork) words.push('--net-host')
  const sources = Object.entries(workload.sources)
  if (sources.length > 0) {
    const folder = join(directory, 'src')
    mkdirSync(folder)
    for (const [name, text] of sources) writeFileSync(join(folder, name), text)
    words.push('--mount', `type=bind,source=${folder},destination=/src,options=rbind:ro`)
  }
  return words
}

/** Starts stargz-snapshotter with its defaults, except that the registry speaks plain HTTP. */
function startMachine(sandbox: Sandbox): ReturnType<Contender['startMachine']> {
  const host = `127.0.0.1:${sandbox.proxy.port}`
  return startForeignMachine(sandbox, {
    name: 'stargz',
    files: () => ({ 'config.toml': plainHttpRegistry(host) }),
    command: ({ directory, root, socket }) => [
      'containerd-stargz-grpc',
      ...['--config', join(directory, 'config.toml')],
      ...['--address', socket, '--root', root, '--log-level', 'info'],
    ],
    puller: (address) => ['ctr-remote', ...QUIET, '--address', address],
    pullArguments: (reference) => ['images', 'rpull', '--plain-http', reference],
  })
}
