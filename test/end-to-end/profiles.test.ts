/**
 * Tests a recorded start: it is published as a startup pack, and the pull fetches it, so that the
 * program hardly reads through FUSE.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Profile, profileFromBytes } from '../../index-format/index.js'
import { askDaemon } from '../../snapshotter/node/admin/admin-client.js'
import type { ConvertResult } from '../../snapshotter/publish/convert/index.js'
import {
  type DaemonStatus,
  daemonStatusFromJson,
} from '../../snapshotter/node/admin/daemon-status.js'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { logged } from './daemon-log.js'
import { type ImagePair, publish } from './thin-images.js'

const NEVER = new AbortController().signal
const COMMAND = ['python3', '-c', 'import json, ssl; print(json.dumps({"answer": 6 * 7}))']
const OUTPUT = '{"answer": 42}\n'
const thin = { snapshotter: 'thin' }

describe('an image with a profile', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let pair: ImagePair
  let profile: Profile
  let optimized: string
  /** The blob of the optimized image's whole index. */
  let indexBlob: string

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'python')
    optimized = sandbox.reference('python:1-optimized')
  })

  after(async () => {
    await sandbox.close()
  })

  it('has its start recorded page by page, whatever the kernel had cached', async () => {
    const machine = await sandbox.startMachine()
    await machine.containerd.pull(pair.thin, 'thin')
    await machine.containerd.run(pair.thin, COMMAND, thin)
    const { trees } = await statusOf(machine)
    const [tree] = trees
    assert.ok(tree)
    const before = (await statusOf(machine)).fuse.plain.bytesRead
    const name = tree.path.slice(tree.path.lastIndexOf('/') + 1)
    await ask(machine, 'POST', `/v1/record/start?tree=${name}`)
    await assert.rejects(ask(machine, 'POST', `/v1/record/start?tree=${name}`), /already/)
    const { stdout } = await machine.containerd.run(pair.thin, COMMAND, thin)
    assert.equal(stdout, OUTPUT)
    const stop = `/v1/record/stop?tree=${tree.indexDigest}&command=python3%20-c%20x%0Ay`
    profile = profileFromBytes(Buffer.from(await ask(machine, 'POST', stop)))
    assert.equal(profile.index, tree.indexDigest)
    assert.deepEqual(profile.commands, ['python3 -c x y'])
    const recordedBytes = profile.ranges.reduce((sum, range) => sum + range.length, 0)
    assert.ok(recordedBytes > 2_000_000, `${recordedBytes} bytes`)
    assert.ok(recordedBytes < before, `${recordedBytes} bytes of ${before} with read-ahead`)
    await assert.rejects(ask(machine, 'POST', stop), /not being recorded/)
    await assert.rejects(ask(machine, 'POST', '/v1/record/start?tree=zzz'), /none of this name/)
    await sandbox.closeMachine(machine)
  })

  it('is published with a startup pack, the same each time', async () => {
    const first = await convert(optimized)
    const again = await convert(sandbox.reference('python:1-again'))
    assert.ok((first.platforms[0]?.startup?.sizeBytes ?? 0) > 500_000)
    indexBlob = first.platforms[0]?.merged.blob.digest ?? ''
    assert.match(indexBlob, /^sha256:/)
    assert.equal(again.digest, first.digest)
    await thinctl(['check', optimized])
    await thinctl(['verify', optimized, pair.ordinary])
  })

  it('is pulled with its start: the program waits for no request, and hardly reads', async () => {
    const machine = await sandbox.startMachine()
    sandbox.proxy.reset()
    await machine.containerd.pull(optimized, 'thin')
    await logged(machine, 'the start of an image is here')
    const [tree] = (await statusOf(machine)).trees
    const ranges = sandbox.proxy.requestLines.filter((line) => line.includes('/blobs/')).length
    // This counts also the image's configuration and layer, which are blobs too.
    assert.equal(ranges, 3, sandbox.proxy.requestLines.join('\n'))
    sandbox.proxy.reset()
    const { stdout } = await machine.containerd.run(optimized, COMMAND, thin)
    assert.equal(stdout, OUTPUT)
    // The rest of the index is fetched five seconds after the start, which may be now on a busy
    // machine. The program does not wait for it.
    const asked = sandbox.proxy.requestLines.filter((line) => !line.includes(indexBlob))
    assert.deepEqual(asked, [])
    const { fuse } = await statusOf(machine)
    assert.ok(fuse.plain.bytesStored > 2_000_000, `${fuse.plain.bytesStored} bytes stored`)
    assert.ok((fuse.plain.requests.READ ?? 0) < 20, `${fuse.plain.requests.READ ?? 0} READs`)
    assert.equal(fuse.plain.faults + fuse.plain.errors, 0)
    assert.ok(tree)
    await sandbox.closeMachine(machine)
  })

  it('runs at once, too, while its start is still arriving', async () => {
    const machine = await sandbox.startMachine()
    sandbox.proxy.reset()
    await machine.containerd.pull(optimized, 'thin')
    const { stdout } = await machine.containerd.run(optimized, COMMAND, thin)
    assert.equal(stdout, OUTPUT)
    await logged(machine, 'the start of an image is here')
    const sums = ['sh', '-c', 'cd /usr/lib && find python3* -type f | sort | xargs md5sum']
    const all = await machine.containerd.run(optimized, sums, thin)
    await machine.containerd.pull(pair.ordinary, 'overlayfs')
    const expected = await machine.containerd.run(pair.ordinary, sums, { snapshotter: 'overlayfs' })
    assert.ok(expected.stdout.length > 10_000)
    assert.equal(all.stdout, expected.stdout)
    await sandbox.closeMachine(machine)
  })

  it('takes its start along when it is removed', async () => {
    const machine = await sandbox.startMachine()
    await machine.containerd.pull(optimized, 'thin')
    await machine.containerd.ctr(['images', 'rm', '--sync', optimized])
    assert.deepEqual((await statusOf(machine)).trees, [])
    assert.doesNotMatch(machine.daemon.log(), /"level":(50|60)/)
    await sandbox.closeMachine(machine)
  })

  it('is refused the profile of another image', async () => {
    const other = join(sandbox.directory, 'other.profile')
    const ranges = [[4_000_000, 0, 4096]]
    const json = { version: 1, index: profile.index, commands: [], ranges }
    writeFileSync(other, JSON.stringify(json))
    await assert.rejects(convert(optimized, other), /recorded with another image/)
    writeFileSync(other, '{"version":1')
    await assert.rejects(convert(optimized, other), /profile .*other\.profile.*not JSON/)
  })

  async function convert(target: string, file?: string): Promise<ConvertResult> {
    const path = file ?? join(sandbox.directory, 'python.profile')
    if (file === undefined) {
      const ranges = profile.ranges.map(({ ino, offset, length }) => [ino, offset, length])
      const { index, commands } = profile
      writeFileSync(path, JSON.stringify({ version: 1, index, commands, ranges }))
    }
    const database = ['--database', join(sandbox.directory, 'publish.db')]
    const args = ['convert', '--json', '--profile', path, ...database, pair.ordinary, target]
    return JSON.parse((await thinctl(args)).stdout) as ConvertResult
  }
})

async function ask(machine: Machine, method: 'GET' | 'POST', path: string): Promise<string> {
  return askDaemon(join(machine.daemon.directory, 'admin.sock'), method, path, NEVER)
}

async function statusOf(machine: Machine): Promise<DaemonStatus> {
  return daemonStatusFromJson(await ask(machine, 'GET', '/v1/status'))
}
