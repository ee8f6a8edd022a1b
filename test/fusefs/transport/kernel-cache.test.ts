import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { KernelCache, type PageRun } from '../../../fusefs/transport/kernel-cache.js'
import { ServerStats, StatsRow } from '../../../fusefs/transport/server-stats.js'
import { createTestLog } from '../content/test-log.js'

const PAGE: PageRun = { ino: 2, offset: 0, from: 0, length: 4096 }
/** The offset is not a whole number, so the thread throws on it. */
const BREAKING: PageRun = { ...PAGE, offset: 0.5 }

describe('KernelCache', () => {
  const log = createTestLog()
  let fd: number
  let stats: ServerStats
  let cache: KernelCache

  const store = (run: PageRun): ReturnType<KernelCache['store']> =>
    cache.store(1, new Uint8Array(4096), [run])

  beforeEach(() => {
    log.lines.splice(0)
    // /dev/null accepts every message, like a kernel that knows all inodes.
    fd = openSync('/dev/null', 'w')
    stats = new ServerStats(0)
    cache = new KernelCache({ fd }, { stats: new StatsRow(stats.shared, 0), log })
  })

  afterEach(async () => {
    await cache.close()
    closeSync(fd)
  })

  it('hands back the bytes it has stored, and counts them', async () => {
    const { storedBytes, bytes } = await store(PAGE)
    assert.equal(storedBytes, 4096)
    assert.equal(bytes?.length, 4096)
    assert.equal(stats.counts().bytesStored, 4096)
  })

  it('goes on with a new thread when its thread has broken', async () => {
    const { storedBytes, bytes } = await store(BREAKING)
    assert.equal(storedBytes, 0)
    assert.equal(bytes, undefined)
    assert.equal((await store(PAGE)).storedBytes, 4096)
    assert.deepEqual(
      log.lines.map(({ level, message }) => `${level}: ${message}`),
      ['error: the thread that puts pages into the kernel broke'],
    )
  })

  it('does without a thread that breaks again and again, and keeps the bytes it is given', async () => {
    for (let time = 1; time <= 17; time++) await store(BREAKING)
    const { storedBytes, bytes } = await store(PAGE)
    assert.equal(storedBytes, 0)
    assert.equal(bytes?.length, 4096)
    assert.equal(log.lines.length, 17)
  })

  it('takes nothing any more once it is closed', async () => {
    await cache.close()
    const { storedBytes, bytes } = await store(PAGE)
    assert.equal(storedBytes, 0)
    assert.equal(bytes?.length, 4096)
  })
})
