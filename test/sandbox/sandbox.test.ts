/** Tests the sandbox that the end-to-end tests use, without our own daemon: overlayfs only. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { attributesImage } from './images/attributes-image.js'
import { DEBIAN_IMAGES, debianImage } from './images/debian-image.js'
import { ImageCache } from './images/image-cache.js'
import { whiteoutsImage } from './images/whiteouts-image.js'
import type { Machine } from './machine.js'
import { mountsBelow } from './mounts.js'
import { runProgram } from './program.js'
import { Sandbox } from './sandbox.js'
import { compareTrees } from './tree-comparison.js'

describe('Sandbox', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let machine: Machine
  let cache: ImageCache

  before(async () => {
    cache = await ImageCache.open()
    sandbox = await Sandbox.start()
    machine = await sandbox.startMachine({ thin: false })
  })

  after(async () => {
    await sandbox.close()
  })

  it('runs a container of an image that it built from Debian packages', async () => {
    const image = await debianImage(cache, DEBIAN_IMAGES.python)
    const reference = await sandbox.push(image, 'python:1')
    sandbox.proxy.reset()
    await machine.containerd.pull(reference, 'overlayfs')
    const { requests, receivedBytes } = sandbox.proxy.traffic
    assert.ok(requests >= 4, `a pull asks for manifest, config and two layers, not ${requests}`)
    assert.ok(receivedBytes > 20e6, `${receivedBytes} bytes are not an image`)
    const { stdout } = await machine.containerd.run(reference, ['python3', '-c', 'print(6 * 7)'], {
      snapshotter: 'overlayfs',
    })
    assert.equal(stdout, '42\n')
  })

  it('builds an image with every attribute, which containerd unpacks as it was', async () => {
    const reference = await sandbox.push(await attributesImage(cache), 'attributes:1')
    await machine.containerd.pull(reference, 'overlayfs')
    const target = join(sandbox.directory, 'attributes')
    await machine.containerd.mountImage(reference, target, 'overlayfs')
    const { stdout } = await runProgram(['getcap', join(target, 'a/capable-cat')])
    assert.match(stdout, /cap_dac_override,cap_net_raw=ep/)
    const stat = await runProgram([
      'stat',
      '-c',
      '%h %t,%T %a',
      '--',
      ...['a/links/one', 'a/null', 'a/setuid-cat'].map((name) => join(target, name)),
    ])
    assert.equal(stat.stdout, '4 0,0 644\n1 1,3 644\n1 0,0 4755\n')
    const raw = Buffer.concat([Buffer.from(`${target}/a/latin1-`), Buffer.of(0xe4, 0xff)])
    assert.ok(existsSync(raw))
    await machine.containerd.unmountImage(target, 'overlayfs')
  })

  it('builds an image with whiteouts and opaque directories, which containerd applies', async () => {
    const reference = await sandbox.push(await whiteoutsImage(cache), 'whiteouts:1')
    await machine.containerd.pull(reference, 'overlayfs')
    const target = join(sandbox.directory, 'whiteouts')
    await machine.containerd.mountImage(reference, target, 'overlayfs')
    const has = (name: string): boolean => existsSync(join(target, 'w', name))
    const present = ['opaque/kept', 'becomes-dir/inside', 'gone-and-back', 'dirs/d0/came-back']
    const absent = [
      'opaque/below',
      'opaque/deep',
      'merged/from-1',
      'dirs/d8/came-back',
      'many/file-2',
    ]
    assert.deepEqual(present.filter(has), present)
    assert.deepEqual(absent.filter(has), [])
    // Mount the image a second time with the same snapshotter, and compare the two mounts.
    const again = join(sandbox.directory, 'again')
    await machine.containerd.mountImage(reference, again, 'overlayfs')
    const { differences, comparedEntries } = await compareTrees(target, again)
    assert.deepEqual(differences, [])
    assert.ok(comparedEntries > 3000, `only ${comparedEntries} entries`)
    await machine.containerd.unmountImage(again, 'overlayfs')
    await machine.containerd.unmountImage(target, 'overlayfs')
  })

  it('leaves no mount and no file behind', async () => {
    const short = await Sandbox.start()
    await short.startMachine({ thin: false })
    const mountPoint = mkdtempSync(join(short.directory, 'mount-'))
    await runProgram(['mount', '-t', 'tmpfs', 'tmpfs', mountPoint])
    await short.close()
    assert.deepEqual(mountsBelow(short.directory), [])
    assert.equal(existsSync(short.directory), false)
  })
})
