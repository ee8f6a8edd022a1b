/**
 * Tests that a thin image equals its original. containerd mounts the root filesystems of both, the
 * original unpacked by overlayfs and the thin image served by us. No attribute of any file may
 * differ.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Machine } from '../sandbox/machine.js'
import { runProgram } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { compareTrees, textOfDifferences } from '../sandbox/tree-comparison.js'
import { type ImagePair, publish } from './thin-images.js'

/**
 * The least number of entries that each comparison must see, so that an empty tree does not count
 * as equal.
 */
const LEAST_ENTRIES = {
  python: 7000,
  node: 6000,
  nginx: 6000,
  attributes: 6000,
  whiteouts: 3000,
} as const

describe('a thin image, compared with its original', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let machine: Machine

  before(async () => {
    sandbox = await Sandbox.start()
    machine = await sandbox.startMachine()
  })

  after(async () => {
    await sandbox.close()
  })

  for (const name of ['python', 'node', 'nginx', 'attributes', 'whiteouts'] as const) {
    describe(name, () => {
      let pair: ImagePair

      before(async () => {
        pair = await publish(sandbox, name)
      })

      it('passes thinctl verify', async () => {
        const { stdout } = await thinctl(['verify', pair.thin, pair.ordinary])
        assert.notEqual(stdout, '')
      })

      it('is pulled by stock ctr without its content', async () => {
        sandbox.proxy.reset()
        await machine.containerd.pull(pair.thin, 'thin')
        const pulledBytes = sandbox.proxy.traffic.receivedBytes
        const imageBytes = await layerBytes(pair.ordinary)
        assert.ok(
          pulledBytes * 10 < imageBytes,
          `the pull took ${pulledBytes} bytes, the image's layers have ${imageBytes}`,
        )
      })

      it('has the same root filesystem, every attribute and byte', async () => {
        const { containerd } = machine
        const leftUnpackedMs = Date.now()
        await containerd.pull(pair.ordinary, 'overlayfs')
        const ordinary = join(machine.directory, `${name}-ordinary`)
        const thin = join(machine.directory, `${name}-thin`)
        await containerd.mountImage(pair.ordinary, ordinary, 'overlayfs')
        await containerd.mountImage(pair.thin, thin, 'thin')
        const { differences, comparedEntries } = await compareTrees(ordinary, thin, {
          leftUnpackedMs,
        })
        assert.equal(textOfDifferences(differences), '')
        assert.ok(
          comparedEntries >= LEAST_ENTRIES[name],
          `compared ${comparedEntries} entries, expected at least ${LEAST_ENTRIES[name]}`,
        )
        await containerd.unmountImage(thin, 'thin')
        await containerd.unmountImage(ordinary, 'overlayfs')
      })
    })
  }
})

/** Returns the compressed size of an image's layers in bytes. */
async function layerBytes(reference: string): Promise<number> {
  const inspect = ['skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${reference}`]
  const { stdout } = await runProgram(inspect)
  const { layers } = JSON.parse(stdout) as { layers: { size: number }[] }
  return layers.reduce((sum, { size }) => sum + size, 0)
}
