/** Tests that images that are completed in the background outlive their registry. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { dropCaches } from '../../bench/drop-caches.js'
import {
  type BackgroundStatus,
  type DaemonStatus,
  daemonStatusFromJson,
} from '../../snapshotter/node/admin/daemon-status.js'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { type ImagePair, publish } from './thin-images.js'

const thin = { snapshotter: 'thin' }
const SUMS = ['sh', '-c', 'find /usr /etc -xdev -type f | sort | xargs md5sum']
const QUICK = ['[background]', 'complete = "all"', 'quiet = "100ms"', 'bandwidth = 0']

describe('completing images in the background', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let pair: ImagePair

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'python')
  })

  after(async () => {
    await sandbox.close()
  })

  it('makes an image outlive its registry, over a restart of the daemon', async () => {
    const machine = await sandbox.startMachine({ daemonConfig: QUICK })
    const { containerd, daemon } = machine
    await containerd.pull(pair.ordinary, 'overlayfs')
    const expected = await containerd.run(pair.ordinary, SUMS, { snapshotter: 'overlayfs' })
    assert.ok(expected.stdout.length > 10_000)
    await containerd.pull(pair.thin, 'thin')
    await isIn('done', machine)
    const { trees, background } = await statusOf(machine)
    assert.equal(background.completeTrees, trees.length)
    assert.ok(trees.length > 0)
    for (const { cachedBytes, packBytes } of trees) assert.equal(cachedBytes, packBytes)
    await sandbox.proxy.refuse(true)
    try {
      await daemon.stopProgram()
      await daemon.startProgram()
      await dropCaches()
      await hasReconnected(machine)
      const { stdout } = await containerd.run(pair.thin, SUMS, thin)
      assert.equal(stdout, expected.stdout)
      const { content, fuse } = await statusOf(machine)
      assert.equal(content.readFailures + fuse.plain.errors + fuse.xattr.errors, 0)
      assert.equal(content.misses, 0)
    } finally {
      await sandbox.proxy.refuse(false)
    }
    await sandbox.closeMachine(machine)
  })

  it('stops at a pause, goes on after it, and ends with the image', async () => {
    const slow = QUICK.map((line) => line.replace('bandwidth = 0', 'bandwidth = "200kB"'))
    const machine = await sandbox.startMachine({ daemonConfig: slow })
    const { containerd, daemon } = machine
    await containerd.pull(pair.thin, 'thin')
    await isIn('running', machine)
    await thinctl(['pause', '--config', daemon.config])
    await isIn('paused', machine)
    const before = (await statusOf(machine)).content.bytesFetched
    await sleep(300)
    assert.equal((await statusOf(machine)).content.bytesFetched, before)
    await thinctl(['resume', '--config', daemon.config])
    await isIn('running', machine)
    await containerd.ctr(['images', 'rm', '--sync', pair.thin])
    await isIn('done', machine)
    assert.deepEqual((await statusOf(machine)).trees, [])
    assert.doesNotMatch(daemon.log(), /"level":(40|50|60)/)
    await sandbox.closeMachine(machine)
  })

  it('evicts nothing for an image that does not fit', async () => {
    const small = ['[cache]', 'size = "64MiB"', ...QUICK]
    const machine = await sandbox.startMachine({ daemonConfig: small })
    await machine.containerd.pull(pair.thin, 'thin')
    await isIn('done', machine)
    const { background, cache, content } = await statusOf(machine)
    assert.equal(background.treesWithoutRoom, 1)
    assert.ok(cache.usageBytes <= cache.maxBytes)
    assert.equal(content.evictions, 0)
    assert.match(machine.daemon.log(), /no room/)
    await sandbox.closeMachine(machine)
  })
})

async function statusOf(machine: Machine): Promise<DaemonStatus> {
  const { stdout } = await thinctl(['status', '--json', '--config', machine.daemon.config])
  return daemonStatusFromJson(stdout)
}

async function isIn(state: BackgroundStatus['state'], machine: Machine): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  for (;;) {
    const { background, trees } = await statusOf(machine)
    // Right after a pull, the state is `done` until the new work is known.
    if (background.state === state) return
    if (performance.now() > deadlineMs) {
      throw new Error(`${background.state}, ${trees.length} trees\n${machine.daemon.log()}`)
    }
    await sleep(50)
  }
}

/**
 * Waits until containerd uses the daemon again. After losing it, containerd waits a few seconds
 * before it reconnects.
 */
async function hasReconnected({ containerd }: Machine): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  for (;;) {
    try {
      await containerd.ctr(['snapshots', '--snapshotter', 'thin', 'ls'])
      return
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await sleep(200)
    }
  }
}
