/** Tests that containers go on while the snapshot database is damaged, and that it can be repaired. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../sandbox/eventually.js'
import { unmountBelow } from '../sandbox/mounts.js'
import { processesUsing } from '../sandbox/processes.js'
import { ThinContainer, TinyImages } from '../sandbox/thin-container.js'
import { ThinDaemon, thinctl } from '../sandbox/thin-daemon.js'

describe('a daemon whose snapshot database is damaged', function () {
  this.timeout(240_000)
  let directory: string
  let images: TinyImages
  let daemon: ThinDaemon
  const containers: ThinContainer[] = []
  let nodes = 0

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'damaged-database-'))
    images = await TinyImages.start(join(directory, 'store'))
  })

  beforeEach(async () => {
    daemon = await ThinDaemon.start(join(directory, `node-${++nodes}`))
  })

  afterEach(async () => {
    for (const container of containers.splice(0)) await container.close()
    await daemon.close()
    await unmountBelow(directory)
    assert.deepEqual(processesUsing(directory), [])
  })

  after(async () => {
    await images.close()
    rmSync(directory, { recursive: true })
  })

  for (const [what, damage, reset] of [
    [
      'is garbage',
      (path: string) => {
        writeFileSync(path, 'garbage '.repeat(4000))
      },
      ['--reset'],
    ],
    [
      'is missing',
      (path: string) => {
        rmSync(path)
      },
      ['--reset'],
    ],
    [
      'was cut off',
      (path: string) => {
        truncateSync(path, statSync(path).size - 4096)
      },
      [],
    ],
  ] as const) {
    it(`serves the containers that run and says so once when it ${what}, and comes back`, async () => {
      const container = await start('before')
      await daemon.stopProgram()
      damage(join(daemon.directory, 'root', 'snapshots.db'))
      await daemon.startProgram()
      await reads(container)
      await assert.rejects(start('meanwhile'), /thinctl repair/)
      const { stdout } = await thinctl(['status', '--config', daemon.config])
      assert.match(stdout, /snapshots +open .*thinctl repair/)
      assert.equal(daemon.log().match(/"level":50/g)?.length, 1, daemon.log())
      assert.doesNotMatch(daemon.log(), /the daemon ended/)
      await thinctl(['repair', '--config', daemon.config, ...reset])
      await eventually(async () => {
        const status = await thinctl(['status', '--config', daemon.config])
        assert.match(status.stdout, /snapshots +\d+ committed/)
        assert.ok(await daemon.answers())
      })
      await reads(await start('after'))
      await daemon.stopProgram()
      await daemon.startProgram()
      await another(container)
      assert.equal(daemon.log().match(/"level":50/g)?.length, 1, daemon.log())
    })
  }

  async function start(name: string): Promise<ThinContainer> {
    const container = await ThinContainer.start(daemon, name, await images.make())
    containers.push(container)
    return container
  }

  /** `a` alone, so that `b` still has to come from the daemon later. */
  async function reads(container: ThinContainer): Promise<void> {
    assert.deepEqual(await container.read('a'), container.expected('a'))
  }

  async function another(container: ThinContainer): Promise<void> {
    assert.deepEqual(await container.read('b'), container.expected('b'))
  }
})
