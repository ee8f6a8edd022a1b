/** The size of a store that has one application in three Debian releases. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LEVEL } from '../snapshotter/publish/convert/index.js'
import { debianImage } from '../test/sandbox/images/debian-image.js'
import { debianReleases } from '../test/sandbox/images/debian-release-images.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { runProgram } from '../test/sandbox/program.js'
import { thinctlCommand } from '../test/sandbox/thin-daemon.js'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { bytesBelow } from './bytes-below.js'
import { layerSizesOf } from './layer-sizes.js'
import type { Claim, Report } from './report.js'

export const releasesBenchmark: Benchmark = {
  name: 'releases',
  description: 'three Debian releases of the python image in one store, against their gzip layers',
  run: async (options) => [await releases(options)],
}

/**
 * The default level, and the highest level, which shows the least size that three releases could
 * take.
 */
const LEVELS = [DEFAULT_LEVEL, 19]

interface Release {
  readonly name: string
  readonly layoutAndTag: string
  readonly gzipBytes: number
}

async function releases({ progress }: BenchmarkOptions): Promise<Report> {
  const cache = await ImageCache.open()
  const images: Release[] = []
  for (const recipe of debianReleases()) {
    progress(`releases: ${recipe.name}, which is built if it is not there`)
    const layoutAndTag = await debianImage(cache, recipe)
    const { gzipBytes } = await layerSizesOf(layoutAndTag)
    images.push({ name: recipe.name, layoutAndTag, gzipBytes })
  }
  const gzipBytes = images.reduce((sum, image) => sum + image.gzipBytes, 0)
  const rows: Report['rows'][number][] = []
  const claims: Claim[] = []
  for (const level of LEVELS) {
    progress(`releases: zstd level ${level}`)
    const added = await addedBytes(images, level)
    for (const [at, { name, gzipBytes: ownBytes }] of images.entries()) {
      const samples = { 'gzip MB': [ownBytes / 1e6], 'added MB': [(added[at] ?? 0) / 1e6] }
      rows.push({ name: `${name}, level ${level}`, samples })
    }
    claims.push({
      text: `three releases together ÷ the sum of their gzip layers, level ${level}`,
      value: added.reduce((sum, bytes) => sum + bytes, 0) / gzipBytes,
      limit: 0.75,
      relation: 'at most',
    })
  }
  return {
    name: 'releases',
    method:
      'thinctl convert of one release after the other into one folder, with one publish ' +
      `database, zstd level ${LEVELS.join(' and ')}; the layers were compressed by umoci`,
    rows,
    claims,
  }
}

/** Returns the bytes that each release adds to a store that has the releases before it. */
async function addedBytes(images: readonly Release[], level: number): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'thin-releases-'))
  try {
    const store = join(folder, 'store')
    const options = ['--database', join(folder, 'publish.db'), '--level', String(level)]
    const added: number[] = []
    let storedBytes = 0
    for (const { name, layoutAndTag } of images) {
      const convert = ['convert', ...options, `oci:${layoutAndTag}`, `oci:${store}:${name}`]
      await runProgram(thinctlCommand(convert), { timeoutMs: 600_000 })
      const bytes = bytesBelow(store)
      added.push(bytes - storedBytes)
      storedBytes = bytes
    }
    return added
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
