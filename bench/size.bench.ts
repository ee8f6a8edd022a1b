/** The size of images in a store, and how it depends on frame sizes and levels. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FORMAT_FRAME_SIZES, type FrameSizes, ThreadCompressor } from '../index-format/index.js'
import { DEFAULT_LEVEL } from '../snapshotter/publish/convert/index.js'
import { DEBIAN_IMAGES, debianImage } from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { runProgram } from '../test/sandbox/program.js'
import { thinctlCommand } from '../test/sandbox/thin-daemon.js'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { bytesBelow } from './bytes-below.js'
import { PackedImage } from './packed-image.js'
import type { Report } from './report.js'

export const sizeBenchmark: Benchmark = {
  name: 'size',
  description: 'what images take in a store, by frame size, cut and zstd level',
  run: async (options) => {
    const cache = await ImageCache.open()
    const images: NamedImage[] = []
    for (const recipe of [DEBIAN_IMAGES.python, DEBIAN_IMAGES.node]) {
      options.progress(`size: ${recipe.name}, which is built if it is not there`)
      images.push({ name: recipe.name, layoutAndTag: await debianImage(cache, recipe) })
    }
    return [await stored(images, options), await tradeOffs(images, options)]
  },
}

interface NamedImage {
  readonly name: string
  readonly layoutAndTag: string
}

/**
 * The size of each image alone: packs, indexes and thin image, as `thinctl convert` writes them to
 * a folder.
 */
async function stored(
  images: readonly NamedImage[],
  { progress }: BenchmarkOptions,
): Promise<Report> {
  const rows: { name: string; share: number; megabytes: number }[] = []
  for (const { name, layoutAndTag } of images) {
    const folder = await mkdtemp(join(tmpdir(), 'thin-size-'))
    const image = await PackedImage.open(layoutAndTag)
    try {
      const destination = `oci:${join(folder, 'store')}:thin`
      const convert = ['convert', '--database', ':memory:', `oci:${layoutAndTag}`, destination]
      await runProgram(thinctlCommand(convert), { timeoutMs: 600_000 })
      const bytes = bytesBelow(join(folder, 'store'))
      rows.push({ name, share: bytes / image.gzipBytes, megabytes: bytes / 1e6 })
      progress(`size: ${name}, ${(bytes / image.gzipBytes).toFixed(3)} of its gzip layers`)
    } finally {
      await image.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
  const logarithms = rows.reduce((sum, { share }) => sum + Math.log(share), 0)
  return {
    name: 'stored size',
    method: `thinctl convert of each image alone into an empty folder, zstd level ${DEFAULT_LEVEL}; the layers were compressed by umoci`,
    rows: rows.map(({ name, share, megabytes }) => ({
      name,
      samples: { MB: [megabytes], 'stored ÷ gzip': [share] },
    })),
    claims: [
      {
        text: 'stored ÷ gzip layers, geometric mean',
        value: Math.exp(logarithms / rows.length),
        limit: 0.85,
        relation: 'at most',
      },
    ],
  }
}

const KIB = 1024
/** In KiB: size of small frames, least size before a cut, size from which cuts become easier. */
const SIZES: readonly (readonly [number, number, number])[] = [
  [256, 512, 1024],
  [512, 512, 1024],
  [1024, 512, 1024],
  [2048, 512, 1024],
  [512, 64, 256],
  [512, 128, 512],
  [512, 1024, 2048],
]
const LEVELS = [3, 5, 6, 7, 9]

async function tradeOffs(
  images: readonly NamedImage[],
  { progress }: BenchmarkOptions,
): Promise<Report> {
  const compressor = ThreadCompressor.start(2)
  const variants: { sizes: FrameSizes; level: number }[] = [
    ...SIZES.map((sizes) => ({ sizes: sizesFromKib(sizes), level: DEFAULT_LEVEL })),
    ...LEVELS.map((level) => ({ sizes: FORMAT_FRAME_SIZES, level })),
  ]
  const rows: { name: string; samples: Record<string, number[]> }[] = []
  try {
    for (const { name, layoutAndTag } of images) {
      const image = await PackedImage.open(layoutAndTag)
      try {
        for (const { sizes, level } of variants) {
          const before = process.cpuUsage()
          const packing = await image.pack({ sizes, level, compressor })
          const { user, system } = process.cpuUsage(before)
          const label = `${name}, ${labelOf(sizes)}, level ${level}`
          progress(`size: ${label}`)
          rows.push({
            name: label,
            samples: {
              'packs ÷ gzip': [packing.packBytes / image.gzipBytes],
              frames: [packing.frames],
              'frames of a start': [packing.startFrames],
              'MB of a start': [packing.startBytes / 1e6],
              'CPU s': [(user + system) / 1e6],
            },
          })
        }
      } finally {
        await image.close()
      }
    }
  } finally {
    await compressor.close()
  }
  return {
    name: 'frame sizes and levels',
    method:
      'each image packed from its unpacked layers, without indexes; "a start" is what a start is ' +
      'guessed to read, all frames of it; small frame / least cut / easier cuts from',
    rows,
    claims: [],
  }
}

function sizesFromKib([small, least, normal]: readonly [number, number, number]): FrameSizes {
  return { smallFrameBytes: small * KIB, minCutBytes: least * KIB, normalCutBytes: normal * KIB }
}

function labelOf({ smallFrameBytes, minCutBytes, normalCutBytes }: FrameSizes): string {
  return `${smallFrameBytes / KIB} / ${minCutBytes / KIB} / ${normalCutBytes / KIB} KiB`
}
