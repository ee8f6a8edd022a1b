/**
 * The fault suite, `npm run test:faults`. Environment variables make it longer, or narrower:
 * `FAULT_SECONDS` (of each test, default 30), `FAULT_SEED` (default: the time; printed),
 * `FAULT_READERS` (default 4), `FAULT_KINDS` (names of `FAULTS`, separated by commas; default all).
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ImagePair } from '../end-to-end/thin-images.js'
import { publish } from '../end-to-end/thin-images.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { FAULT_NAMES, type FaultName } from './faults.js'
import { runFaults, textOf } from './fault-run.js'

/** So small that packs are evicted and fetched again all the time. */
const SMALL_CACHE = ['[cache]', 'size = "64MiB"', 'memory_size = "8MiB"']

describe('containers that read while things fail', function () {
  const seconds = numberFrom('FAULT_SECONDS', 30)
  this.timeout((seconds + 600) * 1000)
  let sandbox: Sandbox
  let image: ImagePair

  before(async () => {
    sandbox = await Sandbox.start()
    image = await publish(sandbox, 'python')
  })

  after(async () => {
    await sandbox.close()
  })

  it('see no wrong byte and no failed call', async () => {
    await readWhileThingsFail(SMALL_CACHE)
  })

  it('see none on a disk that is always full, either', async () => {
    const disk = join(sandbox.directory, 'full-disk')
    mkdirSync(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk])
    try {
      await readWhileThingsFail([...SMALL_CACHE, `directory = ${JSON.stringify(disk)}`])
    } finally {
      execFileSync('umount', [disk])
    }
  })

  async function readWhileThingsFail(daemonConfig: readonly string[]): Promise<void> {
    const seed = numberFrom('FAULT_SEED', Math.floor(Date.now() / 1000))
    const readers = numberFrom('FAULT_READERS', 4)
    const options = { image, readers, seconds, seed, kinds: kindsFrom('FAULT_KINDS') }
    console.log(`      seed ${seed}`)
    const machine = await sandbox.startMachine({ daemonConfig })
    try {
      const result = await runFaults(options, { sandbox, machine })
      console.log(textOf(result).replace(/^/gm, '      '))
      for (const reader of result.readers) {
        assert.deepEqual(reader.wrong, [])
        assert.deepEqual(reader.errors, [])
        assert.ok(reader.files > 0, 'a reader has read nothing')
      }
    } finally {
      await sandbox.closeMachine(machine)
    }
  }
})

function numberFrom(variable: string, fallback: number): number {
  const text = process.env[variable]
  if (text === undefined) return fallback
  const number = Number(text)
  assert.ok(Number.isSafeInteger(number) && number > 0, `${variable} must be a positive number`)
  return number
}

function kindsFrom(variable: string): readonly FaultName[] {
  const text = process.env[variable]
  if (text === undefined) return FAULT_NAMES
  return text.split(',').map((name) => {
    const kind = FAULT_NAMES.find((one) => one === name)
    assert.ok(kind !== undefined, `${variable}: "${name}" is not one of ${FAULT_NAMES.join(', ')}`)
    return kind
  })
}
