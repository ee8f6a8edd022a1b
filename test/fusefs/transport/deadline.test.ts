/** Tests what a program sees of the time limit of a read, in a real mount. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
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
