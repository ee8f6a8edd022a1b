/** Tests a start that is not recorded: it is guessed at publish time, and the pull fetches it. */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import type { ConvertResult } from '../../snapshotter/publish/convert/index.js'
import { daemonStatusFromJson } from '../../snapshotter/node/admin/daemon-status.js'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { logged } from './daemon-log.js'
import { type ImagePair, publish } from './thin-images.js'

const COMMAND = ['python3', '-c', 'print(6 * 7)']

describe('an image with a guessed start', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let pair: ImagePair
  let image: string
  let result: ConvertResult

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'python')
    image = sandbox.reference('python:1-guess')
    const database = ['--database', join(sandbox.directory, 'publish.db')]
    const convert = ['convert', '--json', ...database, pair.ordinary, image]
    result = JSON.parse((await thinctl(convert)).stdout) as ConvertResult
  })

  after(async () => {
    await sandbox.close()
  })

  it('equals its original, and nothing of it is stored a second time', async () => {
    assert.ok((result.platforms[0]?.guess?.rawBytes ?? 0) > 1_000_000)
    assert.equal(result.published.sentBytes, 0)
    await thinctl(['verify', image, pair.ordinary])
  })

  it('says what is guessed', async () => {
    const { stdout } = await thinctl(['profile', 'show', image])
    assert.match(stdout, /^found in {2}the image, guessed\n/)
    for (const path of [/\/etc\/passwd$/m, /\/usr\/bin\/python3\.\d+$/m, /\/libc\.so\.6$/m]) {
      assert.match(stdout, path)
    }
  })

  it('runs, and asks for less while it does', async () => {
    const without = await onEmptyMachine((machine) => requestsOf(machine, pair.thin))
    const guessed = await onEmptyMachine(async (machine) => {
      const requests = await requestsOf(machine, image)
      assert.match(machine.daemon.log(), /"origin":"guess"/)
      return requests
    })
    const runs = `${guessed.run} requests while it runs, ${without.run} without the guess`
    assert.ok(guessed.run < without.run, runs)
    assert.ok(guessed.all <= without.all, `${guessed.all} requests in all, not ${without.all}`)
  })

  it('is brought in whole where a node learned what the guess lacked', async () => {
    const learned = join(sandbox.directory, 'learned')
    await onEmptyMachine(async (machine) => {
      await requestsOf(machine, image)
      await machine.containerd.ctr(['images', 'rm', '--sync', image])
      await logged(machine, 'learned how an image starts')
      cpSync(learnedBy(machine), learned, { recursive: true })
    })
    await onEmptyMachine(async (machine) => {
      cpSync(learned, learnedBy(machine), { recursive: true })
      await machine.containerd.pull(image, 'thin')
      await logged(machine, 'the start of an image is here')
      sandbox.proxy.reset()
      await run(machine, image)
      assert.equal(sandbox.proxy.traffic.requests, 0, sandbox.proxy.requestLines.join('\n'))
      assert.match(machine.daemon.log(), /"origin":"learned"/)
    })
  })

  it('has what its libraries need fetched where nobody guessed it, unless that is switched off', async () => {
    const prefetched = async (machine: Machine): Promise<number> => {
      await requestsOf(machine, pair.thin)
      const { daemon } = machine
      const { stdout } = await thinctl(['status', '--json', '--config', daemon.config])
      return daemonStatusFromJson(stdout).content.framesPrefetched
    }
    assert.ok((await onEmptyMachine(prefetched)) > 0)
    assert.equal(await onEmptyMachine(prefetched, ['[prefetch]', 'libraries = false']), 0)
  })

  async function onEmptyMachine<Result>(
    use: (machine: Machine) => Promise<Result>,
    daemonConfig: readonly string[] = [],
  ): Promise<Result> {
    const machine = await sandbox.startMachine({ daemonConfig })
    const found = await use(machine)
    await sandbox.closeMachine(machine)
    return found
  }

  /** Returns the requests of a first start: while it runs, and in all, including the pull. */
  async function requestsOf(
    machine: Machine,
    reference: string,
  ): Promise<{ run: number; all: number }> {
    sandbox.proxy.reset()
    await machine.containerd.pull(reference, 'thin')
    const pulled = sandbox.proxy.traffic.requests
    await run(machine, reference)
    const all = sandbox.proxy.traffic.requests
    return { run: all - pulled, all }
  }
})

async function run(machine: Machine, reference: string): Promise<void> {
  const { stdout } = await machine.containerd.run(reference, COMMAND, { snapshotter: 'thin' })
  assert.equal(stdout, '42\n')
}

function learnedBy(machine: Machine): string {
  return join(machine.daemon.directory, 'root', 'profiles')
}
