/** A start that nobody recorded: guessed at publish time, brought in by the pull. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { ConvertResult } from '../../snapshotter/convert/index.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { publish } from './thin-images.js'

const COMMAND = ['python3', '-c', 'print(6 * 7)']

describe('an image with a guessed start', function () {
  this.timeout(600_000)
  let sandbox: Sandbox

  before(async () => {
    sandbox = await Sandbox.start()
  })

  after(async () => {
    await sandbox.close()
  })

  it('equals its original, runs, and asks for less while it does', async () => {
    const pair = await publish(sandbox, 'python')
    const target = sandbox.reference('python:1-guess')
    const database = ['--database', join(sandbox.directory, 'publish.db')]
    const convert = ['convert', '--json', ...database, pair.ordinary, target]
    const result = JSON.parse((await thinctl(convert)).stdout) as ConvertResult
    assert.ok((result.platforms[0]?.startup?.sizeBytes ?? 0) > 1_000_000)
    await thinctl(['verify', target, pair.ordinary])
    const [without, withGuess] = [await requestsOf(pair.thin), await requestsOf(target)]
    assert.ok(withGuess < without, `${withGuess} requests, ${without} without the guess`)
  })

  /** Requests of a first start on a machine that has seen nothing, pull included. */
  async function requestsOf(image: string): Promise<number> {
    const machine = await sandbox.startMachine()
    sandbox.proxy.reset()
    await machine.containerd.pull(image, 'thin')
    const { stdout } = await machine.containerd.run(image, COMMAND, { snapshotter: 'thin' })
    assert.equal(stdout, '42\n')
    const { requests } = sandbox.proxy.traffic
    await sandbox.closeMachine(machine)
    return requests
  }
})
