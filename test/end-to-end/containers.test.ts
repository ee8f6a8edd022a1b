/**
 * Tests that containers of thin images, started by stock ctr, work like those of the original
 * images.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningContainer } from '../sandbox/containerd.js'
import type { Machine } from '../sandbox/machine.js'
import { runProgram } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { publish, type TestImage } from './thin-images.js'

const thin = { snapshotter: 'thin' }

describe('a container of a thin image', function () {
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

  it('runs python', async () => {
    const reference = await pull('python')
    const program = 'import json, ssl, sqlite3; print(json.dumps({"answer": 6 * 7}))'
    const { stdout } = await machine.containerd.run(reference, ['python3', '-c', program], thin)
    assert.equal(stdout, '{"answer": 42}\n')
  })

  it('runs node', async () => {
    const reference = await pull('node')
    const program = 'console.log(require("node:os").EOL === "\\n", 6 * 7)'
    const { stdout } = await machine.containerd.run(reference, ['node', '-e', program], thin)
    assert.equal(stdout, 'true 42\n')
  })

  it('serves a page with nginx, and stops cleanly', async () => {
    const reference = await pull('nginx')
    const container = await machine.containerd.start(reference, [], thin)
    assert.match(await page(container), /Welcome to nginx/)
    assert.equal(await machine.containerd.remove(container), true)
  })

  it('answers PING with redis, and stops cleanly', async () => {
    const reference = await pull('redis')
    const container = await machine.containerd.start(reference, [], thin)
    const ping = async (): Promise<string> => {
      const { stdout } = await machine.containerd.exec(container, ['redis-cli', 'PING'])
      return stdout.trim()
    }
    assert.equal(await eventually(ping), 'PONG')
    assert.equal(await machine.containerd.remove(container), true)
  })

  it('writes to its root filesystem without touching the image', async () => {
    const reference = await pull('python')
    const script =
      'echo changed >>/etc/os-release && rm -r /usr/share/doc && tail -n 1 /etc/os-release'
    const { stdout } = await machine.containerd.run(reference, ['sh', '-c', script], thin)
    assert.equal(stdout, 'changed\n')
    const again = await machine.containerd.run(
      reference,
      ['sh', '-c', 'test -d /usr/share/doc && ! grep changed /etc/os-release && echo intact'],
      thin,
    )
    assert.equal(again.stdout, 'intact\n')
  })

  it('goes on while the daemon is stopped and started', async () => {
    const reference = await pull('nginx')
    const { containerd, daemon } = machine
    const container = await containerd.start(reference, [], thin)
    const before = await page(container)
    await daemon.stopProgram()
    await daemon.startProgram()
    assert.equal(await page(container), before)
    // No program has read these files before, so they come through the restarted daemon.
    const sums = ['sh', '-c', 'cd /usr/share && find perl5 -type f | sort | xargs -r md5sum']
    const { stdout } = await containerd.exec(container, sums)
    const expected = await containerd.run(await pullOrdinary('nginx'), sums, {
      snapshotter: 'overlayfs',
    })
    assert.ok(stdout.length > 100, stdout)
    assert.equal(stdout, expected.stdout)
    assert.equal(await containerd.remove(container), true)
  })

  it('is one of the trees that the mount lists, however many are there already', async () => {
    const trees = async (): Promise<string[]> => {
      const { stdout } = await thinctl(['status', '--json', '--config', machine.daemon.config])
      const status = JSON.parse(stdout) as { trees: { path: string }[] }
      return status.trees.map(({ path }) => path).sort()
    }
    const listed = async (): Promise<string[]> => {
      const folders = [...new Set((await trees()).map((path) => dirname(path)))]
      const names = await Promise.all(folders.map((folder) => readdir(folder)))
      return names.flatMap((some, at) => some.map((name) => join(folders[at] ?? '', name))).sort()
    }
    const agree = async (): Promise<number> => {
      const expected = await trees()
      assert.deepEqual(await listed(), expected)
      return expected.length
    }
    await pull('python')
    const before = await eventually(agree)
    await pull('whiteouts')
    assert.ok((await eventually(agree)) > before)
  })

  it('goes on when the daemon is killed in the middle of a read', async () => {
    const reference = await pull('python')
    const { containerd, daemon } = machine
    const container = await containerd.start(reference, ['sleep', '600'], thin)
    const sums = ['sh', '-c', 'cd /usr/lib/python3.11 && find . -type f | sort | xargs md5sum']
    const { pid } = JSON.parse(
      (await thinctl(['status', '--json', '--config', daemon.config])).stdout,
    ) as { pid: number }
    const reading = containerd.exec(container, sums)
    await sleep(400)
    process.kill(pid, 'SIGKILL')
    const { stdout } = await reading
    const expected = await containerd.run(await pullOrdinary('python'), sums, {
      snapshotter: 'overlayfs',
    })
    assert.ok(stdout.length > 10_000, stdout)
    assert.equal(stdout, expected.stdout)
    assert.match(daemon.log(), /the daemon ended \(SIGKILL\)/)
    await containerd.remove(container, 500)
  })

  async function pull(name: TestImage): Promise<string> {
    const pair = await publish(sandbox, name)
    await machine.containerd.pull(pair.thin, 'thin')
    return pair.thin
  }

  async function pullOrdinary(name: TestImage): Promise<string> {
    const reference = sandbox.reference(`${name}:1`)
    await machine.containerd.pull(reference, 'overlayfs')
    return reference
  }
})

/**
 * Returns the answer of port 80 on the container's loopback interface, from inside its network
 * namespace.
 */
async function page(container: RunningContainer): Promise<string> {
  const namespace = `--net=/proc/${container.pid}/ns/net`
  const curl = ['curl', '--silent', '--fail', '--max-time', '5', 'http://127.0.0.1/']
  return eventually(async () => (await runProgram(['nsenter', namespace, ...curl])).stdout)
}

/** Calls `attempt` every 100 ms until it succeeds, for at most 30 seconds. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + 30_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await sleep(100)
    }
  }
}
