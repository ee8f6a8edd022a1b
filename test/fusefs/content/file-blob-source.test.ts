import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BlobSource, createContentStats, sourceFromUrl } from '../../../fusefs/index.js'
import { type Digest, digestOf, hexOf } from '../../../index-format/index.js'
import { noise } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

const NEVER = new AbortController().signal
const blob = noise(3_000_000, 5)
const digest = digestOf(blob)

describe('FileBlobSource', () => {
  let directory: string
  let source: BlobSource

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'file-source-'))
    mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true })
    const modules = { log: createTestLog(), stats: createContentStats() }
    source = sourceFromUrl({ url: pathToFileURL(directory).href }, modules)
  })

  afterEach(async () => {
    await source.close()
    rmSync(directory, { recursive: true })
  })

  function pathOf(of: Digest): string {
    return join(directory, 'blobs', 'sha256', hexOf(of))
  }

  async function fetch(offset: number, length: number, signal = NEVER): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for await (const piece of source.stream({ digest, offset, length }, signal)) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  it('streams exactly the range', async () => {
    writeFileSync(pathOf(digest), blob)
    assert.ok((await fetch(0, blob.length)).equals(blob))
    assert.ok((await fetch(1_234_567, 1)).equals(blob.subarray(1_234_567, 1_234_568)))
  })

  it('says blob-not-found for a file that is not there', async () => {
    await assert.rejects(fetch(0, 1), { code: 'blob-not-found' })
  })

  it('says truncated-answer for a file that ends before the range does', async () => {
    writeFileSync(pathOf(digest), blob.subarray(0, 1000))
    await assert.rejects(fetch(990, 11), { code: 'truncated-answer' })
  })

  it('follows no link', async () => {
    writeFileSync(join(directory, 'elsewhere'), blob)
    symlinkSync('../../elsewhere', pathOf(digest))
    await assert.rejects(fetch(0, 1), { code: 'fetch-failed' })
  })

  it('does not hang on a fifo, nor read a directory', async () => {
    execFileSync('mkfifo', [pathOf(digest)])
    await assert.rejects(fetch(0, 1), { code: 'fetch-failed', message: /not a regular file/ })
    rmSync(pathOf(digest))
    mkdirSync(pathOf(digest))
    await assert.rejects(fetch(0, 1), { code: 'fetch-failed', message: /not a regular file/ })
  })

  it('stops when the caller gives up', async () => {
    writeFileSync(pathOf(digest), blob)
    await assert.rejects(fetch(0, blob.length, AbortSignal.abort()), { code: 'aborted' })
  })
})
