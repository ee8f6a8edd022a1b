import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compress } from 'zstd-napi'
import { type BlobSource, createContentStats, sourceFromUrl } from '../../../fusefs/index.js'
import { type Digest, digestOf, hexOf, type IndexRef } from '../../../index-format/index.js'
import { IndexCache } from '../../../snapshotter/indexes/index-cache.js'
import { SnapshotterError, type SnapshotterErrorCode } from '../../../snapshotter/index.js'

const log = { error() {}, warn() {}, info() {}, debug() {} }
const never = new AbortController().signal

describe('IndexCache', () => {
  let folder: string
  let source: BlobSource
  let cache: IndexCache
  const raw = Buffer.from('an index, as far as this cache knows. '.repeat(1000))
  const blob = compress(raw)
  const ref: IndexRef = {
    digest: digestOf(raw),
    sizeBytes: raw.length,
    blob: { digest: digestOf(blob), sizeBytes: blob.length },
    xattrs: false,
  }

  const blobPath = (digest: Digest): string => join(folder, 'store/blobs/sha256', hexOf(digest))
  const put = (digest: Digest, bytes: Uint8Array): void => {
    mkdirSync(dirname(blobPath(digest)), { recursive: true })
    writeFileSync(blobPath(digest), bytes)
  }
  const refused =
    (code: SnapshotterErrorCode, ...words: string[]) =>
    (error: unknown) => {
      assert.ok(error instanceof SnapshotterError)
      assert.equal(error.code, code)
      for (const word of words) assert.ok(error.message.includes(word), `${error.message}: ${word}`)
      return true
    }
  const ensure = (wanted: IndexRef, embeddedPath?: string): Promise<string> =>
    cache.ensure(wanted, { embeddedPath, source }, never)

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'thin-index-cache-'))
    mkdirSync(join(folder, 'store'))
    const url = pathToFileURL(join(folder, 'store')).href
    source = sourceFromUrl({ url }, { log, stats: createContentStats() })
    cache = new IndexCache((digest) => join(folder, 'indexes', hexOf(digest)))
  })

  afterEach(async () => {
    await source.close()
    rmSync(folder, { recursive: true })
  })

  it('fetches an index from the store, verified, once for all who wait', async () => {
    put(ref.blob.digest, blob)
    const paths = await Promise.all([ensure(ref), ensure(ref), ensure(ref)])
    assert.deepEqual(new Set(paths).size, 1)
    assert.deepEqual(readFileSync(paths[0]), raw)
    assert.deepEqual(readdirSync(join(folder, 'indexes')), [hexOf(ref.digest)])
  })

  it('takes the file beside the recipe without asking the store', async () => {
    const embedded = join(folder, 'thin-index.zst')
    writeFileSync(embedded, blob)
    assert.deepEqual(readFileSync(await ensure(ref, embedded)), raw)
  })

  it('needs neither once the index is there', async () => {
    put(ref.blob.digest, blob)
    await ensure(ref)
    rmSync(blobPath(ref.blob.digest))
    assert.deepEqual(readFileSync(await ensure(ref)), raw)
  })

  it('goes on for the others when the one who began the fetch gives up', async () => {
    put(ref.blob.digest, blob)
    const impatient = new AbortController()
    const first = cache.ensure(ref, { embeddedPath: undefined, source }, impatient.signal)
    const second = ensure(ref)
    impatient.abort()
    await assert.rejects(first, refused('cancelled', ref.digest))
    assert.deepEqual(readFileSync(await second), raw)
  })

  it('lets go of one who waits for the fetch of another and gives up', async () => {
    put(ref.blob.digest, blob)
    const first = ensure(ref)
    await new Promise((resolve) => setTimeout(resolve, 1))
    const given = new AbortController()
    const second = cache.ensure(ref, { embeddedPath: undefined, source }, given.signal)
    given.abort()
    await assert.rejects(second, refused('cancelled', ref.digest))
    assert.deepEqual(readFileSync(await first), raw)
  })

  it('does not follow a link that an image put in the place of the embedded index', async () => {
    writeFileSync(join(folder, 'secret'), blob)
    symlinkSync(join(folder, 'secret'), join(folder, 'link'))
    await assert.rejects(ensure(ref, join(folder, 'link')), refused('internal', 'link'))
    assert.deepEqual(readdirSync(join(folder, 'indexes')), [])
  })

  it('refuses, before it writes, an index that a blob cannot hold', async () => {
    put(ref.blob.digest, blob)
    const sizeBytes = 2 ** 31
    await assert.rejects(
      ensure({ ...ref, sizeBytes }),
      refused('invalid-content', `${blob.length} bytes expand to ${sizeBytes}`),
    )
    assert.equal(existsSync(join(folder, 'indexes')), false)
  })

  it('asks whether there is room before it writes', async () => {
    put(ref.blob.digest, blob)
    const asked: IndexRef[] = []
    const admit = (wanted: IndexRef): void => {
      asked.push(wanted)
      throw new SnapshotterError('failed-precondition', 'no room')
    }
    cache = new IndexCache((digest) => join(folder, 'indexes', hexOf(digest)), { admit })
    await assert.rejects(ensure(ref), refused('failed-precondition', 'no room'))
    assert.deepEqual(asked, [ref])
    assert.equal(existsSync(join(folder, 'indexes')), false)
  })

  it('says which store lacks the blob, and succeeds when the store has it again', async () => {
    await assert.rejects(ensure(ref), refused('unavailable', ref.digest, 'store'))
    put(ref.blob.digest, blob)
    assert.deepEqual(readFileSync(await ensure(ref)), raw)
  })

  const flipped = Buffer.from(blob)
  flipped.writeUInt8(flipped.readUInt8(20) ^ 1, 20)
  const wrong: Record<string, [Partial<IndexRef> & { bytes?: Uint8Array }, string]> = {
    'a flipped bit in the blob': [{ bytes: flipped }, 'index'],
    'a truncated blob': [{ bytes: blob.subarray(0, 30) }, 'index'],
    'an index that is longer than the recipe says': [
      { sizeBytes: raw.length - 1 },
      'beyond the limit',
    ],
    'an index that is not the one the recipe names': [
      { digest: `sha256:${createHash('sha256').update('other').digest('hex')}` },
      'digest',
    ],
    'a blob that is no zstd frame': [{ bytes: raw.subarray(0, blob.length) }, 'index'],
  }
  for (const [name, [change, word]] of Object.entries(wrong)) {
    it(`refuses ${name}, and leaves nothing behind`, async () => {
      const { bytes, ...overrides } = change
      put(ref.blob.digest, bytes ?? blob)
      await assert.rejects(ensure({ ...ref, ...overrides }), (error: unknown) => {
        assert.ok(error instanceof SnapshotterError)
        assert.ok(['invalid-content', 'unavailable'].includes(error.code), error.code)
        assert.ok(error.message.includes(word), error.message)
        return true
      })
      assert.deepEqual(readdirSync(join(folder, 'indexes')), [])
    })
  }
})
