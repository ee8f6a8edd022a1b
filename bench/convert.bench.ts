/** Speed, memory and result of `thinctl convert`, from registry to the same registry. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { bytesBelow } from './bytes-below.js'
import { measureProgram } from './measured-program.js'
import type { Claim, Report } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import {
  DEBIAN_IMAGES,
  type DebianImage,
  debianImage,
} from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { runProgram } from '../test/sandbox/program.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'
import { thinctlCommand } from '../test/sandbox/thin-daemon.js'

/** Compilers of four languages and what they need: 2 GB of programs, libraries and sources. */
const LARGE: DebianImage = {
  name: 'compilers',
  packages: ['ghc', 'golang-go', 'openjdk-17-jdk-headless', 'rustc', 'clang'],
  command: ['/bin/sh'],
}

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
  run: async (options) => [await measure(LARGE, options)],
}

interface Conversion {
  readonly megabytesPerSec: number
  readonly peakRssBytes: number
  readonly storedShare: number
}

async function measure(image: DebianImage, { runs, progress }: BenchmarkOptions): Promise<Report> {
  progress(`convert ${image.name}: building the image, if it is not there`)
  const built = await debianImage(await ImageCache.open(), image)
  const layers = await layersOf(built)
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

interface LayerSizes {
  readonly gzipBytes: number
  readonly rawBytes: number
}

async function layersOf(layoutAndTag: string): Promise<LayerSizes> {
  const inspect = ['skopeo', 'inspect', '--raw', `oci:${layoutAndTag}`]
  const manifest = JSON.parse((await runProgram(inspect)).stdout) as {
    layers: { digest: string; size: number }[]
  }
  const layout = layoutAndTag.slice(0, layoutAndTag.lastIndexOf(':'))
  let gzipBytes = 0
  let rawBytes = 0
  for (const { digest, size } of manifest.layers) {
    gzipBytes += size
    const blob = createReadStream(join(layout, 'blobs', digest.replace(':', '/')))
    for await (const chunk of blob.pipe(createGunzip())) rawBytes += (chunk as Buffer).length
  }
  return { gzipBytes, rawBytes }
}
