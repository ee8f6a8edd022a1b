import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import { mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { type ContentStore, type MirrorShared, MirrorView } from '../../../fusefs/index.js'
import type { PackTable } from '../../../index-format/index.js'
import { ContentHarness } from './content-harness.js'
import type { MirrorReaderData, MirrorReaderMessage } from './mirror-reader-worker.js'
import type { PackFixture } from './pack-fixture.js'
import { SAMPLE_FRAME_SIZES, samplePacks } from './sample-packs.js'

const KIB = 1024
const NEVER = new AbortController().signal
const packs = samplePacks()
const [first, second] = packs
const PACK_BYTES = first?.raw.length ?? 0

describe('ContentStore on disk', function () {
  this.timeout(60_000)
  let harness: ContentHarness

  beforeEach(async () => {
    harness = await ContentHarness.start(packs)
  })

  afterEach(() => harness.stop())

  async function readAll(store: ContentStore, pack: PackFixture): Promise<void> {
    const target = Buffer.alloc(pack.raw.length)
    const request = { pack: pack.table, rawOffset: 0, target, source: harness.source }
    await store.read(request, NEVER)
    assert.ok(target.equals(pack.raw), 'the store served wrong bytes')
  }

  async function fill(store: ContentStore, pack: PackFixture): Promise<void> {
    const frames = { first: 0, count: pack.table.frames.length }
    await store.prefetch({ pack: pack.table, frames, source: harness.source }, NEVER)
  }

  function mirrorFile(pack: PackTable, ending: string): string {
    const root = join(harness.cacheDir, 'packs-v1', pack.digest.slice(7, 9))
    const name = readdirSync(root).find((entry) => entry.endsWith(ending))
    assert.ok(name !== undefined)
    return join(root, name)
  }

  /** Starts another process that fills the cache with the first pack, then kills it. */
  async function fillAndKill(): Promise<void> {
    const program = fileURLToPath(new URL('cache-filler-process.js', import.meta.url))
    const child = spawn(process.execPath, [program, harness.cacheDir, harness.server.origin])
    const failure: Buffer[] = []
    child.stderr.on('data', (data: Buffer) => failure.push(data))
    const [reason] = await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => [`ended: ${Buffer.concat(failure).toString()}`]),
    ])
    assert.equal(String(reason), 'filled\n')
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  it('needs no network after a clean restart, and does not verify again', async () => {
    assert.ok(first !== undefined)
    const before = await harness.open()
    await fill(before, first)
    await before.close()
    await harness.server.stop()
    const store = await harness.open()
    assert.equal(store.usageBytes(), PACK_BYTES)
    assert.equal(new MirrorView(store.mirror(first.table)).tryReadSync(Buffer.alloc(10), 0), true)
    await readAll(store, first)
    assert.equal(harness.stats.framesReverified, 0)
    harness.server.requests.length = 0
  })

  it('needs no network after an unclean end, but verifies every frame before it serves it', async () => {
    assert.ok(first !== undefined)
    await fillAndKill()
    harness.server.requests.length = 0
    const store = await harness.open()
    const view = new MirrorView(store.mirror(first.table))
    const target = Buffer.alloc(10)
    assert.equal(view.tryReadSync(target, 0), false)
    await Promise.all([readAll(store, first), readAll(store, first)])
    assert.equal(view.tryReadSync(target, 0), true)
    assert.equal(harness.stats.framesReverified, SAMPLE_FRAME_SIZES.length)
    assert.equal(harness.server.requests.length, 0)
    assert.equal(harness.stats.verifyFailures, 0)
  })

  it('fetches a frame anew that an unclean end left wrong on disk', async () => {
    assert.ok(first !== undefined)
    await fillAndKill()
    harness.server.requests.length = 0
    flipBit(mirrorFile(first.table, '.raw'), 64 * KIB + 1000)
    const store = await harness.open()
    await readAll(store, first)
    assert.equal(harness.stats.verifyFailures, 1)
    assert.equal(harness.server.requests.length, 1)
    await fill(store, first)
    assert.equal(
      new MirrorView(store.mirror(first.table)).tryReadSync(Buffer.alloc(10), 65 * KIB),
      true,
    )
  })

  it('notices a mirror that was changed while no process ran', async () => {
    assert.ok(first !== undefined)
    const before = await harness.open()
    await fill(before, first)
    await before.close()
    flipBit(mirrorFile(first.table, '.raw'), 64 * KIB + 1000)
    const store = await harness.open()
    await readAll(store, first)
    assert.equal(harness.stats.verifyFailures, 1)
  })

  it('does not believe an unchecked claim after a clean stop either', async () => {
    assert.ok(first !== undefined)
    await fillAndKill()
    const raw = mirrorFile(first.table, '.raw')
    // A whole second: a time with a fraction could not be set again to the nanosecond.
    const timeSec = 1_000_000_000
    utimesSync(raw, timeSec, timeSec)
    const between = await harness.open()
    between.mirror(first.table)
    await between.close()
    flipBit(raw, 1000)
    utimesSync(raw, timeSec, timeSec)
    await readAll(await harness.open(), first)
    assert.equal(harness.stats.verifyFailures, 1)
  })

  const damages: [string, (pack: PackTable) => void][] = [
    [
      'a state file of which a bit was flipped',
      (pack) => {
        flipBit(mirrorFile(pack, '.state'), 60)
      },
    ],
    [
      'a state file that was cut short',
      (pack) => {
        truncateSync(mirrorFile(pack, '.state'), 20)
      },
    ],
    [
      'a mirror that was cut short',
      (pack) => {
        truncateSync(mirrorFile(pack, '.raw'), 1000)
      },
    ],
    [
      'a mirror that was emptied',
      (pack) => {
        truncateSync(mirrorFile(pack, '.raw'), 0)
        truncateSync(mirrorFile(pack, '.raw'), PACK_BYTES)
      },
    ],
    [
      'files that are not its own',
      (pack) => {
        writeFileSync(`${mirrorFile(pack, '.raw')}.x`, 'stray')
      },
    ],
  ]
  for (const [name, damage] of damages) {
    it(`starts, and serves the right bytes, over ${name}`, async () => {
      assert.ok(first !== undefined)
      const before = await harness.open()
      await fill(before, first)
      await before.close()
      damage(first.table)
      await readAll(await harness.open(), first)
    })
  }

  it('refuses a cache that another process uses', async () => {
    await harness.open()
    await assert.rejects(harness.open(), { code: 'cache-io', message: /another process/ })
  })

  it('refuses a folder that is none', async () => {
    writeFileSync(harness.cacheDir, 'a file')
    await assert.rejects(harness.open(), { code: 'cache-io', message: /writable folder/ })
  })

  it('holds no more than it may, and lets the least recently used pack go first', async () => {
    const store = await harness.open({ maxBytes: 3 * PACK_BYTES })
    for (const pack of packs.slice(0, 3)) {
      await fill(store, pack)
      await sleep(3)
    }
    assert.ok(first !== undefined && second !== undefined)
    // A dispatcher thread reads the oldest pack from its mirror. This does not call the store, but
    // the store must still count it as a use.
    new MirrorView(store.mirror(first.table)).tryReadSync(Buffer.alloc(10), 0)
    await sleep(3)
    const evicted = new MirrorView(store.mirror(second.table))
    new MirrorView(store.mirror(first.table)).tryReadSync(Buffer.alloc(10), 0)
    await sleep(3)
    const third = packs[2]
    const fourth = packs[3]
    assert.ok(third !== undefined && fourth !== undefined)
    new MirrorView(store.mirror(third.table)).tryReadSync(Buffer.alloc(10), 0)
    await sleep(3)
    new MirrorView(store.mirror(first.table)).tryReadSync(Buffer.alloc(10), 0)
    await fill(store, fourth)
    assert.ok(store.usageBytes() <= 3 * PACK_BYTES)
    assert.equal(evicted.retired, true)
    const kept = store.packs().filter((pack) => pack.presentBytes === PACK_BYTES)
    assert.ok(kept.some((pack) => pack.digest === first.table.digest))
    assert.ok(!kept.some((pack) => pack.digest === second.table.digest))
    await readAll(store, second)
  })

  it('leaves to other files what they take of the disk', async () => {
    const store = await harness.open({ maxBytes: 3 * PACK_BYTES })
    for (const pack of packs.slice(0, 3)) await fill(store, pack)
    store.setOutsideBytes(2 * PACK_BYTES)
    assert.equal(store.outsideBytes, 2 * PACK_BYTES)
    assert.ok(store.usageBytes() <= PACK_BYTES)
    const fourth = packs[3]
    assert.ok(fourth !== undefined)
    await fill(store, fourth)
    assert.ok(store.usageBytes() <= PACK_BYTES)
  })

  it('serves packs that are larger than the whole cache', async () => {
    assert.ok(first !== undefined)
    const store = await harness.open({ maxBytes: 100 * KIB })
    for (let i = 0; i < 2; i++) await readAll(store, first)
    assert.ok(store.usageBytes() <= 100 * KIB)
  })

  it('keeps files, but not descriptors, of more mirrors than it may have open', async () => {
    const store = await harness.open({ maxOpenMirrors: 2, retireDelayMs: 1 })
    for (const pack of packs) await fill(store, pack)
    await sleep(20)
    const open = readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).endsWith('.raw'))
    assert.ok(open.length <= 2, `${open.length} mirrors are open`)
    assert.equal(store.usageBytes(), packs.length * PACK_BYTES)
    const before = harness.server.requests.length
    for (const pack of packs) await readAll(store, pack)
    assert.equal(harness.server.requests.length, before)
    assert.equal(harness.stats.framesReverified, 0)
  })

  it('syncs mirrors that it closed because too many were open, before it marks the cache clean', async () => {
    const synced: string[] = []
    const { fsyncSync, fdatasyncSync } = fs
    const noted =
      (sync: (fd: number) => void) =>
      (fd: number): void => {
        synced.push(basename(readlinkSync(`/proc/self/fd/${fd}`)))
        sync(fd)
      }
    mock.method(fs, 'fsyncSync', noted(fsyncSync))
    mock.method(fs, 'fdatasyncSync', noted(fdatasyncSync))
    syncBuiltinESMExports()
    try {
      const store = await harness.open({ maxOpenMirrors: 2, retireDelayMs: 1 })
      for (const pack of packs) await fill(store, pack)
      const ids = store.packs().map(({ id }) => id)
      assert.ok(ids.length > 2)
      synced.length = 0
      await store.close()
      const before = synced.slice(0, synced.indexOf('clean'))
      for (const id of ids) assert.ok(before.includes(`${id}.raw`), id)
    } finally {
      mock.restoreAll()
      syncBuiltinESMExports()
    }
  })

  it('forgets a pack that is removed, and frees its blocks', async () => {
    assert.ok(first !== undefined)
    const store = await harness.open()
    await fill(store, first)
    const shared = store.mirror(first.table)
    assert.equal(store.remove(first.table.digest), PACK_BYTES)
    assert.equal(store.usageBytes(), 0)
    assert.deepEqual(store.packs(), [])
    assert.equal(new MirrorView(shared).retired, true)
    assert.notEqual(store.mirror(first.table).fd, shared.fd)
    await readAll(store, first)
  })

  it('never hands out a wrong byte while packs are evicted under its readers', async function () {
    this.timeout(120_000)
    const retireDelayMs = 200
    const store = await harness.open({ maxBytes: 2 * PACK_BYTES + 1000, retireDelayMs })
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const counts = new Int32Array(new SharedArrayBuffer(12))
    const raws = packs.map(({ raw }) => sharedCopy(raw))
    const workerData: MirrorReaderData = { raws, stop: stop.buffer, counts: counts.buffer }
    const program = new URL('mirror-reader-worker.js', import.meta.url)
    const workers = [1, 2].map(() => new Worker(program, { workerData }))
    const ends = workers.map((worker) => once(worker, 'exit'))
    const posted = new Map<number, MirrorShared>()
    // Until enough has happened, however long that takes on a busy machine.
    const isEnough = (): boolean =>
      Atomics.load(counts, 0) > 2000 && Atomics.load(counts, 1) > 0 && harness.stats.evictions > 40
    for (let i = 0; !isEnough(); i++) {
      const pack = Math.floor(Math.random() * packs.length)
      const fixture = packs[pack]
      assert.ok(fixture !== undefined)
      if (i % 3 === 0) await readAll(store, fixture)
      else await fill(store, fixture)
      const shared = store.mirror(fixture.table)
      if (posted.get(pack) === shared) continue
      posted.set(pack, shared)
      for (const worker of workers) {
        worker.postMessage({ pack, shared } satisfies MirrorReaderMessage)
      }
    }
    Atomics.store(stop, 0, 1)
    await Promise.all(ends)
    const [served, refused, wrong] = counts
    assert.equal(wrong, 0)
    assert.ok((served ?? 0) > 2000 && (refused ?? 0) > 0 && isEnough())
  })

  it('serves from memory while the disk is full, says so once, and writes again later', async () => {
    assert.ok(first !== undefined && second !== undefined)
    const unmount = mountTmpfs(harness.cacheDir, '4m')
    let nowMs = 0
    harness.patience = { now: () => nowMs }
    const store = await harness.open({ diskRetryMs: 3_000 })
    try {
      const ballast = join(harness.cacheDir, 'ballast')
      fillDisk(ballast)
      await readAll(store, first)
      await readAll(store, first)
      await readAll(store, second)
      assert.equal(store.load().diskRefuses, true)
      const warnings = harness.log.lines.filter((line) => line.level === 'warn')
      assert.equal(warnings.length, 1, JSON.stringify(warnings))
      assert.match(JSON.stringify(warnings[0]?.fields), /ENOSPC/)
      truncateSync(ballast, 0)
      nowMs += 3_000
      const third = packs[2]
      assert.ok(third !== undefined)
      await fill(store, third)
      assert.equal(store.load().diskRefuses, false)
      assert.equal(store.usageBytes(), PACK_BYTES)
    } finally {
      await store.close()
      unmount()
    }
  })

  it('makes place on a disk that is smaller than the cache may be', async () => {
    const unmount = mountTmpfs(harness.cacheDir, '2m')
    const store = await harness.open({ diskRetryMs: 1, memoryBytes: 1 })
    try {
      for (const pack of [...packs, ...packs, ...packs]) {
        await readAll(store, pack)
        await sleep(5)
      }
      assert.ok(harness.stats.evictions > 0)
      assert.ok(store.usageBytes() > 0)
    } finally {
      await store.close()
      unmount()
    }
  })

  it('fetches no faster than it can write', async () => {
    const store = await harness.open({ maxUnwrittenBytes: 1 })
    await Promise.all(packs.map((pack) => fill(store, pack)))
    assert.equal(store.usageBytes(), packs.length * PACK_BYTES)
    for (const pack of packs) await readAll(store, pack)
  })

  it('keeps no more packs than it may, however small', async () => {
    const store = await harness.open({ maxPacks: 2 })
    for (const pack of packs) {
      await readAll(store, pack)
      // A pack is not evicted while it is written. This resolves when it is on the disk.
      await fill(store, pack)
    }
    assert.ok(store.packs().length <= 3, `${store.packs().length} packs`)
  })

  it('keeps going without a disk tier', async () => {
    assert.ok(first !== undefined)
    const store = await harness.open({ cacheDir: undefined })
    await readAll(store, first)
    const before = harness.server.requests.length
    await readAll(store, first)
    assert.equal(harness.server.requests.length, before)
    assert.throws(() => store.mirror(first.table), { code: 'cache-io' })
  })
})

function flipBit(path: string, offset: number): void {
  const byte = readFileSync(path)[offset] ?? 0
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.from([byte ^ 1]), 0, 1, offset)
  closeSync(fd)
}

function fillDisk(path: string): void {
  const fd = openSync(path, 'w')
  const piece = Buffer.alloc(4096, 1)
  try {
    for (;;) writeSync(fd, piece)
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC')
  } finally {
    closeSync(fd)
  }
}

function sharedCopy(bytes: Uint8Array): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(bytes.length)
  new Uint8Array(shared).set(bytes)
  return shared
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

/** Mounts a small tmpfs. Returns the function that unmounts it. */
function mountTmpfs(directory: string, size: string): () => void {
  mkdirSync(directory)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory])
  return () => {
    execFileSync('umount', [directory])
  }
}
