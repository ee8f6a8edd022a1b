/**
 * Tests a start that a node learned by itself: it is used when the image comes back, and shared
 * with other nodes.
 */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { askDaemon } from '../../snapshotter/node/admin/admin-client.js'
import { daemonStatusFromJson } from '../../snapshotter/node/admin/daemon-status.js'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { logged } from './daemon-log.js'
import { type ImagePair, publish } from './thin-images.js'

const NEVER = new AbortController().signal
const COMMAND = ['python3', '-c', 'import json, ssl; print(json.dumps({"answer": 6 * 7}))']
const TYPES = ['index', 'manifest'].map((kind) => `application/vnd.oci.image.${kind}.v1+json`)
const OUTPUT = '{"answer": 42}\n'

describe('an image that was published without a start', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let pair: ImagePair
  let node: Machine

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'python')
    node = await sandbox.startMachine()
  })

  after(async () => {
    await sandbox.close()
  })

  it('is learned by its first run, and brought in ahead of the next', async () => {
    const first = await start(node)
    assert.ok(first.runRequests > 10, `${first.runRequests} requests`)
    await node.containerd.ctr(['images', 'rm', '--sync', pair.thin])
    await logged(node, 'learned how an image starts')
    // A machine that has only what the first node learned: no content, and no pages in the kernel.
    const bare = await sandbox.startMachine()
    cpSync(learnedBy(node), learnedBy(bare), { recursive: true })
    const second = await start(bare, 'the start of an image is here')
    assert.match(bare.daemon.log(), /"origin":"learned"/)
    assert.equal(second.runRequests, 0, sandbox.proxy.requestLines.join('\n'))
    assert.ok(second.requests < first.requests * 0.75, `${second.requests} of ${first.requests}`)
    assert.ok(second.receivedBytes < first.receivedBytes * 1.1)
    assert.ok(second.bytesStored > 2_000_000, `${second.bytesStored} bytes in the page cache`)
    await sandbox.closeMachine(bare)
  })

  it('is shared through the registry with a node that has not seen it', async () => {
    const push = ['profile', 'push', '--json', '--config', node.daemon.config, pair.thin]
    const pushed = JSON.parse((await thinctl(push)).stdout) as { starts: unknown[] }
    assert.equal(pushed.starts.length, 1)
    const { stdout } = await thinctl(['profile', 'show', pair.thin])
    assert.match(stdout, /^found in {2}its registry\n(?:.*\n)+.*\/usr\/bin\/python3\.\d+$/m)
    const other = await sandbox.startMachine()
    const { runRequests } = await start(other, 'the start of an image is here')
    assert.match(other.daemon.log(), /"origin":"shared"/)
    assert.equal(runRequests, 0, sandbox.proxy.requestLines.join('\n'))
    await thinctl(['verify', pair.thin, pair.ordinary])
    await sandbox.closeMachine(other)
  })

  it('can be found as a referrer of the image, in a registry without that API, too', async () => {
    const base = `http://127.0.0.1:${sandbox.registry.port}/v2/python/manifests`
    const accept = { accept: TYPES.join(', ') }
    const head = await fetch(`${base}/1-thin`, { method: 'HEAD', headers: accept })
    const digest = head.headers.get('docker-content-digest') ?? ''
    const list = await fetch(`${base}/${digest.replace(':', '-')}`, { headers: accept })
    const { manifests } = (await list.json()) as { manifests: { artifactType: string }[] }
    const profiles = manifests.filter(({ artifactType }) => artifactType.includes('profiles'))
    assert.equal(profiles.length, 1)
  })

  it('has profiles that are merged, fetched and pushed as files', async () => {
    const pulled = join(sandbox.directory, 'pulled.profile')
    await thinctl(['profile', 'pull', pair.thin, pulled])
    const merged = join(sandbox.directory, 'merged.profile')
    await thinctl(['profile', 'merge', merged, pulled, pair.thin])
    const push = ['profile', 'push', '--json', '--replace', '--profile', merged, pair.thin]
    const { repositories } = JSON.parse((await thinctl(push)).stdout) as { repositories: string[] }
    assert.equal(repositories.length, 1)
    const { stdout } = await thinctl(['profile', 'list', '--config', node.daemon.config])
    const [digest = ''] = stdout.split(' ')
    assert.match(stdout, /^sha256:[0-9a-f]{64} {2}\/.*\.profile\n$/)
    await thinctl(['profile', 'forget', '--config', node.daemon.config, digest])
    const again = await thinctl(['profile', 'list', '--config', node.daemon.config])
    assert.equal(again.stdout, '')
  })

  async function start(
    machine: Machine,
    awaited?: string,
  ): Promise<{
    requests: number
    receivedBytes: number
    runRequests: number
    bytesStored: number
  }> {
    sandbox.proxy.reset()
    await machine.containerd.pull(pair.thin, 'thin')
    if (awaited !== undefined) await logged(machine, awaited)
    const { requests } = sandbox.proxy.traffic
    const { stdout } = await machine.containerd.run(pair.thin, COMMAND, { snapshotter: 'thin' })
    assert.equal(stdout, OUTPUT)
    const { traffic } = sandbox.proxy
    const admin = join(machine.daemon.directory, 'admin.sock')
    const text = await askDaemon(admin, 'GET', '/v1/status', NEVER)
    const { fuse } = daemonStatusFromJson(text)
    const { bytesStored } = fuse.plain
    return { ...traffic, runRequests: traffic.requests - requests, bytesStored }
  }
})

function learnedBy(machine: Machine): string {
  return join(machine.daemon.directory, 'root', 'profiles')
}
