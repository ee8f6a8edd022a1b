/**
 * Tests an image built FROM a thin image: an ordinary layer above a recipe adds, replaces and
 * deletes files.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from '../sandbox/machine.js'
import { runProgram } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { compareTrees, textOfDifferences } from '../sandbox/tree-comparison.js'
import { publish } from './thin-images.js'

describe('an image built from a thin image', function () {
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

  it('equals the one built from the original, and runs', async () => {
    const pair = await publish(sandbox, 'python')
    const layer = await addedLayer(join(sandbox.directory, 'added'))
    const ordinary = await withLayer(pair.ordinary, layer, 'child:1')
    const thin = await withLayer(pair.thin, layer, 'child:1-thin')
    const { containerd } = machine
    const leftUnpackedMs = Date.now()
    await containerd.pull(ordinary, 'overlayfs')
    await containerd.pull(thin, 'thin')

    const left = join(machine.directory, 'ordinary')
    const right = join(machine.directory, 'thin-child')
    await containerd.mountImage(ordinary, left, 'overlayfs')
    await containerd.mountImage(thin, right, 'thin')
    const { differences, comparedEntries } = await compareTrees(left, right, { leftUnpackedMs })
    assert.equal(textOfDifferences(differences), '')
    assert.ok(comparedEntries > 5000, `only ${comparedEntries} entries`)
    await containerd.unmountImage(right, 'thin')
    await containerd.unmountImage(left, 'overlayfs')

    const { stdout } = await containerd.run(thin, ['python3', '/app/main.py'], {
      snapshotter: 'thin',
    })
    assert.equal(stdout, 'built from a thin image\n')
  })

  /**
   * Makes a layer with a program, a replaced file, a deleted file and an emptied directory. Returns
   * its tar archive.
   */
  async function addedLayer(directory: string): Promise<string> {
    for (const name of ['app', 'etc', 'usr/share/locale']) {
      mkdirSync(join(directory, name), { recursive: true })
    }
    writeFileSync(join(directory, 'app/main.py'), 'print("built from a thin image")\n')
    writeFileSync(join(directory, 'etc/debian_version'), 'replaced\n')
    writeFileSync(join(directory, 'etc/.wh.issue'), '')
    writeFileSync(join(directory, 'usr/share/locale/.wh..wh..opq'), '')
    const archive = `${directory}.tar`
    await runProgram([
      'tar',
      '--format=pax',
      '--numeric-owner',
      '-cf',
      archive,
      '-C',
      directory,
      '.',
    ])
    return archive
  }

  async function withLayer(base: string, archive: string, name: string): Promise<string> {
    const layout = `${join(sandbox.directory, name.replace(':', '-'))}:image`
    const flags = ['--insecure-policy', '--src-tls-verify=false', '--quiet']
    await runProgram(['skopeo', 'copy', ...flags, `docker://${base}`, `oci:${layout}`])
    await runProgram(['umoci', 'raw', 'add-layer', '--image', layout, archive])
    return sandbox.push(layout, name)
  }
})
