/** What the configuration says of stores, seen from a pull: the registry is on loopback, as an attacker's target would be. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { type ImagePair, publish } from './thin-images.js'

describe('a store on this machine that a recipe names', function () {
  this.timeout(300_000)
  let sandbox: Sandbox
  let pair: ImagePair

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'whiteouts')
  })

  after(async () => {
    await sandbox.close()
  })

  async function readFrom(machine: Machine): Promise<Buffer> {
    const root = join(machine.directory, 'root')
    await machine.containerd.pull(pair.thin, 'thin')
    await machine.containerd.mountImage(pair.thin, root, 'thin')
    try {
      return await readFile(join(root, 'etc/os-release'))
    } finally {
      await machine.containerd.unmountImage(root, 'thin')
    }
  }

  it('is not read from by default: the pull fails and says which key allows it', async () => {
    const daemonConfig = ['[stores]', 'allow = ["oci+https://", "https://"]']
    const machine = await sandbox.startMachine({ daemonConfig })
    await assert.rejects(readFrom(machine), (error) => {
      assert.match(String(error), new RegExp(`store oci\\+http://127.0.0.1:${sandbox.proxy.port}/`))
      assert.match(String(error), /\[stores\] allow/)
      return true
    })
    assert.match(machine.daemon.log(), /a store that a recipe names is not read from/)
    assert.doesNotMatch(machine.daemon.log(), /the rehearsal failed/)
    await sandbox.closeMachine(machine)
  })

  it('is read from where its registry is configured', async () => {
    const machine = await sandbox.startMachine({
      daemonConfig: [
        `[registry."127.0.0.1:${sandbox.proxy.port}"]`,
        'plain_http = true',
        '[stores]',
        'allow = []',
      ],
    })
    assert.match((await readFrom(machine)).toString(), /^PRETTY_NAME=/m)
    await sandbox.closeMachine(machine)
  })
})
