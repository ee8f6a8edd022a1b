/** Tests that a daemon that hangs is replaced, and what systemd is told. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../sandbox/eventually.js'
import { unmountBelow } from '../sandbox/mounts.js'
import { NotifySocket } from '../sandbox/notify-socket.js'
import { processesUsing } from '../sandbox/processes.js'
import { runProgram } from '../sandbox/program.js'
import { ThinContainer, TinyImages } from '../sandbox/thin-container.js'
import { ThinDaemon, thinctl } from '../sandbox/thin-daemon.js'

describe('a daemon with a watchdog', function () {
  this.timeout(240_000)
  let directory: string
  let images: TinyImages
  let daemon: ThinDaemon
  let notify: NotifySocket | undefined
  const containers: ThinContainer[] = []

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'watchdog-'))
    images = await TinyImages.start(join(directory, 'store'))
    const deadline = ['[watchdog]', 'deadline = "2s"']
    daemon = await ThinDaemon.start(join(directory, 'node'), deadline)
  })

  after(async () => {
    for (const container of containers) await container.close()
    await daemon.close()
    await notify?.close()
    await images.close()
    await unmountBelow(directory)
    assert.deepEqual(processesUsing(join(directory, 'node')), [])
    rmSync(directory, { recursive: true })
  })

  it('is replaced when it was stopped with SIGSTOP, and containers go on', async () => {
    const container = await start('container')
    const pid = await daemonPid()
    process.kill(pid, 'SIGSTOP')
    assert.deepEqual(await container.read('b'), container.expected('b'))
    assert.match(daemon.log(), /the daemon did not answer for 2000 ms: it is replaced/)
    assert.match(daemon.log(), /the daemon ended \(SIGKILL\) after/)
    assert.notEqual(await eventually(daemonPid), pid)
  })

  it('notices a mount that was unmounted by hand below a container, and puts it back', async () => {
    await eventually(async () => {
      assert.ok(await daemon.answers())
    })
    const container = await start('unmounted')
    const pid = await daemonPid()
    await runProgram(['umount', '-c', '-l', join(daemon.directory, 'root', 'plain')])
    await eventually(() => {
      assert.match(daemon.log(), /plain was unmounted, but not by us: mounted again/)
    })
    assert.deepEqual(await container.read('b'), container.expected('b'))
    await start('after')
    assert.equal(await daemonPid(), pid)
  })

  it('tells systemd when it is ready, and then that it lives', async () => {
    await daemon.stopProgram()
    notify = await NotifySocket.listen(join(directory, 'notify'))
    const { path: NOTIFY_SOCKET, messages } = notify
    await daemon.startProgram({ env: { NOTIFY_SOCKET, WATCHDOG_USEC: '1500000' } })
    await eventually(() => {
      assert.ok(messages.length >= 3)
    })
    assert.deepEqual(messages.slice(0, 3), ['READY=1', 'WATCHDOG=1', 'WATCHDOG=1'])
  })

  async function start(name: string): Promise<ThinContainer> {
    const container = await ThinContainer.start(daemon, name, await images.make())
    containers.push(container)
    return container
  }

  async function daemonPid(): Promise<number> {
    const { stdout } = await thinctl(['status', '--json', '--config', daemon.config])
    return (JSON.parse(stdout) as { pid: number }).pid
  }
})
