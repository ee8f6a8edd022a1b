/** Tests the workloads of the benchmark with the smallest image, and each way to be ready. */
import assert from 'node:assert/strict'
import { tryWorkload } from '../../bench/workloads/trial.js'
import type { Workload } from '../../bench/workloads/workload.js'
import { WORKLOADS } from '../../bench/workloads/workloads.js'
import { busyboxImage } from '../sandbox/images/busybox-image.js'
import { ImageCache } from '../sandbox/images/image-cache.js'
import type { Machine } from '../sandbox/machine.js'
import { freePort } from '../sandbox/free-port.js'
import { Sandbox } from '../sandbox/sandbox.js'

describe('WORKLOADS', function () {
  this.timeout(300_000)
  let sandbox: Sandbox
  let machine: Machine
  let reference: string

  before(async () => {
    sandbox = await Sandbox.start()
    machine = await sandbox.startMachine({ thin: false })
    reference = await sandbox.push(await busyboxImage(await ImageCache.open()), 'busybox:1')
    await machine.containerd.pull(reference, 'overlayfs')
  })

  after(async () => {
    await sandbox.close()
  })

  async function outputOf(workload: Workload): Promise<string> {
    const { containerd, directory } = machine
    const options = { containerd, reference, snapshotter: 'overlayfs', directory }
    return (await tryWorkload(workload, options)).output
  }

  function named(name: string): Workload {
    const workload = WORKLOADS.find((one) => one.name === name)
    assert.ok(workload, name)
    return workload
  }

  it('have a name each, and a port each where they answer', () => {
    const names = WORKLOADS.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    assert.ok(names.length >= 14)
    const urls = WORKLOADS.flatMap(({ ready }) => (ready.kind === 'http' ? [ready.url] : []))
    assert.equal(new Set(urls).size, urls.length)
  })

  it('end with what echo prints', async () => {
    assert.equal(await outputOf(named('echo')), 'hello\n')
  })

  it('see their sources and environment, and are ready with a line', async () => {
    const output = await outputOf({
      ...named('echo'),
      command: ['sh', '-c', 'echo starting; . /src/say; exec sleep 60'],
      env: ['WHAT=ready'],
      sources: { say: 'echo "server is $WHAT to go"\n' },
      ready: { kind: 'line', text: 'is ready' },
    })
    assert.equal(output, 'server is ready to go')
  })

  it('are ready with an answer over the network of the machine', async () => {
    const port = await freePort()
    const output = await outputOf({
      ...named('echo'),
      command: ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', '/src'],
      sources: { 'index.html': 'hello' },
      hostNetwork: true,
      ready: { kind: 'http', url: `http://127.0.0.1:${port}/` },
    })
    assert.equal(output, 'hello')
  })

  it('fail when the program fails', async () => {
    const failing = { ...named('echo'), command: ['sh', '-c', 'echo damaged; exit 3'] }
    await assert.rejects(outputOf(failing), /damaged/)
  })
})
