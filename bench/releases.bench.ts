/** What a store takes that has one application as three Debian releases have it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LEVEL } from '../snapshotter/convert/index.js'
import { debianImage } from '../test/sandbox/images/debian-image.js'
import { debianReleases } from '../test/sandbox/images/debian-release-images.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { runProgram } from '../test/sandbox/program.js'
import { thinctlCommand } from '../test/sandbox/thin-daemon.js'
import type { Benchmark, BenchmarkOptions } from './benchmark.js'
import { bytesBelow } from './bytes-below.js'
import { layerSizesOf } from './layer-sizes.js'
import type { Report } from './report.js'

export const releasesBenchmark: Benchmark = {
  name: 'releases',
  description: 'three Debian releases of the python image in one store, against their gzip layers',
  run: async (options) => [await releases(options)],
}

async function releases({ progress }: BenchmarkOptions): Promise<Report> {
  const cache = await ImageCache.open()
  const folder = await mkdtemp(join(tmpdir(), 'thin-releases-'))
  const store = join(folder, 'store')
  const rows: Report['rows'][number][] = []
  let gzipBytes = 0
  let storedBytes = 0
  try {
    for (const recipe of debianReleases()) {
      progress(`releases: ${recipe.name}, which is built if it is not there`)
      const layoutAndTag = await debianImage(cache, recipe)
      const { gzipBytes: ownBytes } = await layerSizesOf(layoutAndTag)
      const database = ['--database', join(folder, 'publish.db')]
      const paths = [`oci:${layoutAndTag}`, `oci:${store}:${recipe.name}`]
      await runProgram(thinctlCommand(['convert', ...database, ...paths]), { timeoutMs: 600_000 })
      const added = bytesBelow(store) - storedBytes
      storedBytes += added
      gzipBytes += ownBytes
      rows.push({
        name: recipe.name,
        samples: { 'gzip MB': [ownBytes / 1e6], 'added MB': [added / 1e6] },
      })
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return {
    name: 'releases',
    method:
      'thinctl convert of one release after the other into one folder, with one publish ' +
      `database, zstd level ${DEFAULT_LEVEL}; the layers were compressed by umoci`,
    rows,
    claims: [
      {
        text: 'three releases together ÷ the sum of their gzip layers',
        value: storedBytes / gzipBytes,
        limit: 0.75,
        relation: 'at most',
      },
    ],
  }
}
