/** Tests what a program sees of the time limit of a read, in a real mount. */
import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FailedReads } from '../../../fusefs/transport/failed-reads.js'
import { ServingTurns } from '../../../fusefs/transport/serving-turns.js'
import { BIG_FILE, PLAIN_MEMBERS } from '../filesystem/sample-members.js'
import { SampleMount } from './sample-mount.js'

const DEADLINE_MS = 1_500

describe('a read of content that does not come', () => {
  let mount: SampleMount

  beforeEach(async () => {
    mount = new SampleMount('plain', [PLAIN_MEMBERS])
    await mount.mount()
    await mount.serve({ deadlineMs: DEADLINE_MS })
  })

  afterEach(async () => {
    await mount.close()
  })

  it('ends with EIO at the deadline, though the kernel asks again page by page', async () => {
    const askedMs: number[] = []
    mount.content.beforeRead = () => {
      askedMs.push(performance.now())
      return new Promise(() => undefined)
    }
    const startedMs = performance.now()
    await assert.rejects(readFile(join(mount.root(), 'big')), { code: 'EIO' })
    const waitedMs = performance.now() - startedMs
    assert.ok(waitedMs > DEADLINE_MS - 50, `${waitedMs} ms`)
    // All questions belong to the first wait. The kernel's second one was answered without content.
    assert.ok(askedMs.length > 0)
    for (const atMs of askedMs) assert.ok(atMs - startedMs < DEADLINE_MS - 50, `${atMs} ms`)
    assert.ok((mount.server?.counts().misses ?? 0) > askedMs.length)
    assert.equal(await mount.log.hasError(/fetch-timeout/), true)
  })

  it('does not keep the next read from content that is there by then', async () => {
    let isThere = false
    mount.content.beforeRead = () => (isThere ? Promise.resolve() : new Promise(() => undefined))
    await assert.rejects(readFile(join(mount.root(), 'etc/shadow')), { code: 'EIO' })
    isThere = true
    assert.ok((await readFile(join(mount.root(), 'big'))).equals(BIG_FILE))
  })
})

describe('FailedReads', () => {
  const range = { slot: 1, ino: 7, offset: 4096, size: 8192 }
  let nowMs: number
  let failed: FailedReads

  beforeEach(() => {
    nowMs = 0
    failed = new FailedReads(() => nowMs)
    failed.note(range, 'why')
  })

  it('knows every read that begins in the range, of the same file only', () => {
    assert.deepEqual(failed.errorOf({ ...range, offset: 8192, size: 4096 }), { error: 'why' })
    assert.equal(failed.errorOf({ ...range, offset: 12_288 }), undefined)
    assert.equal(failed.errorOf({ ...range, offset: 0 }), undefined)
    assert.equal(failed.errorOf({ ...range, ino: 8 }), undefined)
    assert.equal(failed.errorOf({ ...range, slot: 2 }), undefined)
  })

  it('forgets a range after a second, and the oldest of too many', () => {
    nowMs = 999
    assert.ok(failed.errorOf(range))
    nowMs = 1_000
    assert.equal(failed.errorOf(range), undefined)
    failed.note(range, 'why')
    for (let i = 0; i < 64; i++) failed.note({ ...range, offset: 2 ** 20 * (i + 1) }, 'why')
    assert.equal(failed.errorOf(range), undefined)
    assert.ok(failed.errorOf({ ...range, offset: 2 ** 20 }))
  })
})

describe('ServingTurns', () => {
  it('serves 64 at a time, the others in order, and none that gave up', async () => {
    const turns = new ServingTurns()
    const ends: (() => void)[] = []
    const begun: number[] = []
    const never = new AbortController().signal
    setMaxListeners(0, never)
    const serve = (id: number, signal = never): Promise<void> =>
      turns.serve(
        () =>
          new Promise((resolve) => {
            begun.push(id)
            ends.push(resolve)
          }),
        signal,
      )
    const first = Array.from({ length: 64 }, (_, id) => serve(id))
    const stop = new AbortController()
    const impatient = serve(64, stop.signal)
    const patient = serve(65)
    await new Promise(setImmediate)
    assert.equal(begun.length, 64)
    stop.abort(new Error('enough'))
    await assert.rejects(impatient, { message: 'enough' })
    ends[0]?.()
    await first[0]
    await new Promise(setImmediate)
    assert.deepEqual(begun.slice(64), [65])
    for (const end of ends) end()
    await Promise.all([...first, patient])
  })

  it('keeps the turn of a read that gave up until its work has ended', async () => {
    const turns = new ServingTurns()
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const ends: (() => void)[] = []
    const work = (): Promise<void> => new Promise((resolve) => void ends.push(resolve))
    const given = Array.from({ length: 64 }, () => turns.serve(work, stop.signal))
    let isServed = false
    const next = turns.serve(() => {
      isServed = true
      return Promise.resolve()
    }, new AbortController().signal)
    await new Promise(setImmediate)
    stop.abort(new Error('enough'))
    for (const one of given) await assert.rejects(one, { message: 'enough' })
    assert.equal(isServed, false)
    ends[0]?.()
    await next
    assert.equal(isServed, true)
  })
})
