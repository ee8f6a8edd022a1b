/**
 * Speed, memory and stored size of `thinctl convert` from a registry to the same registry, and of
 * stargz-snapshotter's converter if it is installed.
 */
import { join } from 'node:path'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import {
  type Conversion,
  type ConversionSample,
  columnsOf,
  sampleOf,
} from './convert/conversion.js'
import {
  ESTARGZ_METHOD,
  convertToEstargz,
  estargzUnavailable,
} from './convert/estargz-conversion.js'
import { type LayerSizes, layerSizesOf } from './layer-sizes.js'
import { measureProgram } from './measured-program.js'
import type { Claim, Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import { COMPILERS_IMAGE } from './workloads/compilers.js'
import {
  DEBIAN_IMAGES,
  type DebianImage,
  debianImage,
} from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'
import { thinctlCommand } from '../test/sandbox/thin-daemon.js'

export const convertBenchmark: Benchmark = {
  name: 'convert',
  description: 'thinctl convert of the python and node images: MB/s, memory, stored size',
  run: async (options) => [
    await measure(DEBIAN_IMAGES.python, options),
    await measure(DEBIAN_IMAGES.node, options),
  ],
}

export const convertLargeBenchmark: Benchmark = {
  name: 'convert-large',
  description: 'the same for an image of 2 GB (the first run builds it: several minutes)',
  run: async (options) => [await measure(COMPILERS_IMAGE, options)],
}

interface Contender {
  readonly name: string
  readonly convert: (sandbox: Sandbox, source: string, target: string) => Promise<Conversion>
}

const THIN: Contender = { name: 'thin', convert: convertToThin }
const ESTARGZ: Contender = { name: 'estargz', convert: convertToEstargz }

async function measure(image: DebianImage, { runs, progress }: BenchmarkOptions): Promise<Report> {
  progress(`convert ${image.name}: building the image, if it is not there`)
  const built = await debianImage(await ImageCache.open(), image)
  const layers = await layerSizesOf(built)
  const reason = estargzUnavailable()
  if (reason !== undefined) progress(`convert ${image.name}: estargz is left out: ${reason}`)
  const contenders = reason === undefined ? [THIN, ESTARGZ] : [THIN]
  const samples = new Map<string, ConversionSample[]>(contenders.map(({ name }) => [name, []]))
  for (let run = 1; run <= runs; run++) {
    // The contenders take turns, and each is first in every second run, so that other load of the
    // machine affects both alike.
    const turns = run % 2 === 1 ? contenders : contenders.toReversed()
    for (const contender of turns) {
      const sample = await withSandbox((sandbox) =>
        convertOnce(sandbox, contender, image, built, layers),
      )
      samples.get(contender.name)?.push(sample)
      const speed = `${sample.megabytesPerSec.toFixed(0)} MB/s`
      progress(`convert ${image.name}: run ${run} of ${runs}, ${contender.name}, ${speed}`)
    }
  }
  return {
    name: `convert ${image.name}`,
    method:
      `thin: thinctl convert REGISTRY/${image.name}:1 REGISTRY/${image.name}:1-thin; ` +
      `${reason === undefined ? ESTARGZ_METHOD : `estargz left out: ${reason}`}; an empty registry ` +
      `and database every time; ${(layers.rawBytes / 1e6).toFixed(0)} MB uncompressed, ` +
      `${(layers.gzipBytes / 1e6).toFixed(0)} MB gzip`,
    rows: contenders.map(({ name }) => ({ name, samples: columnsOf(samples.get(name) ?? []) })),
    claims: claimsOf(samples.get(THIN.name) ?? []),
  }
}

function claimsOf(samples: readonly ConversionSample[]): Claim[] {
  const speeds = samples.map(({ megabytesPerSec }) => megabytesPerSec)
  const peaksMib = samples.map(({ peakRssBytes }) => peakRssBytes / 1024 ** 2)
  const shares = samples.map(({ storedShare }) => storedShare)
  return [
    {
      text: 'MB/s of uncompressed layer',
      value: medianOf(speeds),
      limit: 100,
      relation: 'at least',
    },
    { text: 'peak memory, MiB', value: Math.max(...peaksMib), limit: 300, relation: 'at most' },
    {
      text: 'content, indexes and thin image in the registry ÷ gzip layers',
      value: medianOf(shares),
      limit: 0.85,
      relation: 'at most',
    },
  ]
}

async function convertOnce(
  sandbox: Sandbox,
  { name, convert }: Contender,
  image: DebianImage,
  built: string,
  layers: LayerSizes,
): Promise<ConversionSample> {
  await sandbox.push(built, `${image.name}:1`)
  // Not through the sandbox's proxy, because the proxy runs in this process and would be measured
  // too.
  const reference = `127.0.0.1:${sandbox.registry.port}/${image.name}`
  const [source, target] = [`${reference}:1`, `${reference}:1-${name}`]
  return sampleOf(sandbox, layers, () => convert(sandbox, source, target))
}

async function convertToThin(
  sandbox: Sandbox,
  source: string,
  target: string,
): Promise<Conversion> {
  const database = join(sandbox.directory, 'publish.db')
  const command = thinctlCommand(['convert', '--database', database, source, target])
  const { elapsedMs, peakRssBytes } = await measureProgram(command)
  return { elapsedMs, peakRssBytes, stepMs: {} }
}
