/** Speed, memory and result of `thinctl convert`, from registry to the same registry. */
import { join } from 'node:path'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { bytesBelow } from './bytes-below.js'
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

interface Conversion {
  readonly megabytesPerSec: number
  readonly peakRssBytes: number
  readonly storedShare: number
}

async function measure(image: DebianImage, { runs, progress }: BenchmarkOptions): Promise<Report> {
  progress(`convert ${image.name}: building the image, if it is not there`)
  const built = await debianImage(await ImageCache.open(), image)
  const layers = await layerSizesOf(built)
  const conversions: Conversion[] = []
  for (let run = 1; run <= runs; run++) {
    const conversion = await withSandbox((sandbox) =>
      convertOnce(sandbox, image.name, built, layers),
    )
    conversions.push(conversion)
    progress(
      `convert ${image.name}: run ${run} of ${runs}, ${conversion.megabytesPerSec.toFixed(0)} MB/s`,
    )
  }
  const speeds = conversions.map(({ megabytesPerSec }) => megabytesPerSec)
  const peaksMib = conversions.map(({ peakRssBytes }) => peakRssBytes / 1024 ** 2)
  const shares = conversions.map(({ storedShare }) => storedShare)
  const claims: Claim[] = [
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
  return {
    name: `convert ${image.name}`,
    method:
      `thinctl convert REGISTRY/${image.name}:1 REGISTRY/${image.name}:1-thin; an empty registry ` +
      `and database every time; ${(layers.rawBytes / 1e6).toFixed(0)} MB uncompressed, ` +
      `${(layers.gzipBytes / 1e6).toFixed(0)} MB gzip`,
    rows: [
      {
        name: image.name,
        samples: { 'MB/s': speeds, 'peak MiB': peaksMib, 'stored ÷ gzip': shares },
      },
    ],
    claims,
  }
}

async function convertOnce(
  sandbox: Sandbox,
  name: string,
  built: string,
  layers: LayerSizes,
): Promise<Conversion> {
  const source = await sandbox.push(built, `${name}:1`)
  const before = bytesBelow(sandbox.registry.storage)
  const database = join(sandbox.directory, 'publish.db')
  const { elapsedMs, peakRssBytes } = await measureProgram(
    thinctlCommand([
      'convert',
      '--database',
      database,
      source,
      sandbox.reference(`${name}:1-thin`),
    ]),
  )
  return {
    megabytesPerSec: layers.rawBytes / 1e3 / elapsedMs,
    peakRssBytes,
    storedShare: (bytesBelow(sandbox.registry.storage) - before) / layers.gzipBytes,
  }
}
