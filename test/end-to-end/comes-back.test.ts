/** Tests that a node comes back after its processes died or its mounts were taken away. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../sandbox/eventually.js'
import { mountsBelow, unmountBelow } from '../sandbox/mounts.js'
import { processesUsing } from '../sandbox/processes.js'
import { runProgram, tryProgram } from '../sandbox/program.js'
import { ThinContainer, TinyImages } from '../sandbox/thin-container.js'
import { ThinDaemon, thinctl, thinctlCommand } from '../sandbox/thin-daemon.js'

describe('a node that comes back', function () {
  this.timeout(240_000)
  let directory: string
  let images: TinyImages
  let daemon: ThinDaemon
  let nodes = 0
  const containers: ThinContainer[] = []

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'comes-back-'))
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

  for (const [who, victims] of [
    ['its keeper was', keepers],
    ['everything of it was', everybody],
  ] as const) {
    it(`starts and serves new containers after ${who} killed, and names those that lost their files`, async () => {
      const lost = await start('lost')
      for (const pid of victims()) process.kill(pid, 'SIGKILL')
      await eventually(() => {
        assert.equal(daemon.running, false)
      })
      await assert.rejects(lost.read('b'))
      await daemon.startProgram()
      await reads(await start('next'))
      const { containers: named } = logged(/the keeper had died/)
      assert.deepEqual(named, [{ snapshot: 'lost', mountpoint: lost.root }])
      assert.match(daemon.log(), /root\/plain was mounted, but its keeper had died: mounted anew/)
      await daemon.stopProgram()
      await daemon.startProgram()
      assert.equal(daemon.log().match(/the keeper had died, and with it/g)?.length, 1)
    })
  }

  it('is taken away by thinctl shutdown --force after everything of it was killed', async () => {
    await start('lost')
    for (const pid of everybody()) process.kill(pid, 'SIGKILL')
    await eventually(() => {
      assert.equal(daemon.running, false)
    })
    const command = ['shutdown', '--config', daemon.config]
    const { exitCode, stderr } = await tryProgram(thinctlCommand(command))
    assert.equal(exitCode, 2)
    assert.match(stderr, /the keeper has died, and .*lost is mounted over its trees/)
    await thinctl([...command, '--force'])
    assert.deepEqual(mountsBelow(join(daemon.directory, 'root')), [])
    assert.equal((await tryProgram(thinctlCommand([...command, '--force']))).exitCode, 3)
    await daemon.startProgram()
    await reads(await start('next'))
  })

  it('ends in order, and says nothing of a death, after thinctl shutdown', async () => {
    const container = await start('container')
    await reads(container)
    await container.close()
    await thinctl(['shutdown', '--config', daemon.config])
    await eventually(() => {
      assert.equal(daemon.exitCode, 0)
    })
    assert.doesNotMatch(daemon.log(), /the daemon ended|the keeper is gone/)
    await daemon.startProgram()
  })

  it('mounts anew, and says it once, what was unmounted by hand', async () => {
    await reads(await start('first'))
    for (const container of containers.splice(0)) await container.close()
    await unmountByHand('plain')
    await eventually(() => {
      assert.deepEqual(
        mountsBelow(join(daemon.directory, 'root')).map(({ type }) => type),
        ['fuse.thin', 'fuse.thin'],
      )
    })
    await eventually(async () => {
      await reads(await start(`next-${containers.length}`))
    })
    const said = daemon.log().match(/plain was unmounted, but not by us: mounted anew/g)
    assert.equal(said?.length, 1)
    assert.equal(daemon.log().match(/the daemon ended/g)?.length, 1)
  })

  it('puts back what was unmounted by hand below a container, which goes on', async () => {
    const container = await start('container')
    await unmountByHand('plain')
    const { stdout } = await thinctl(['status', '--json', '--config', daemon.config])
    process.kill((JSON.parse(stdout) as { pid: number }).pid, 'SIGKILL')
    await reads(container)
    await eventually(async () => {
      assert.ok(await daemon.answers())
    })
    await reads(await start('next'))
    assert.match(daemon.log(), /plain was unmounted, but not by us: mounted again/)
  })

  async function start(name: string): Promise<ThinContainer> {
    const container = await ThinContainer.start(daemon, name, await images.make())
    containers.push(container)
    return container
  }

  async function reads(container: ThinContainer): Promise<void> {
    for (const name of ['a', 'b'] as const) {
      assert.deepEqual(await container.read(name), container.expected(name))
    }
  }

  async function unmountByHand(name: string): Promise<void> {
    await runProgram(['umount', '-c', '-l', join(daemon.directory, 'root', name)])
  }

  function everybody(): number[] {
    return processesUsing(daemon.directory)
  }

  function keepers(): number[] {
    return everybody().filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('thin-snapshotter-keeper'),
    )
  }

  /** The line of the daemon's log whose message matches. */
  function logged(message: RegExp): Record<string, unknown> {
    const line = daemon
      .log()
      .split('\n')
      .find((text) => text.startsWith('{') && message.test(text))
    assert.ok(line !== undefined, daemon.log())
    return JSON.parse(line) as Record<string, unknown>
  }
})
