import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImageCache } from './images/image-cache.js'

describe('ImageCache', () => {
  const before = process.env['THIN_IMAGE_CACHE']
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'image-cache-'))
    process.env['THIN_IMAGE_CACHE'] = folder
  })

  afterEach(() => {
    if (before === undefined) delete process.env['THIN_IMAGE_CACHE']
    else process.env['THIN_IMAGE_CACHE'] = before
    rmSync(folder, { recursive: true })
  })

  it('is made once where several find none at the same time', async () => {
    const caches = await Promise.all([ImageCache.open(), ImageCache.open(), ImageCache.open()])
    for (const { layout } of caches) assert.equal(layout, join(folder, 'images'))
  })
})
