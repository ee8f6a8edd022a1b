import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { AllowedDirectories } from '../../../../snapshotter/node/snapshots/allowed-directories.js'
import { HostDirectories } from '../../../../snapshotter/node/snapshots/host-directories.js'
import { HostDirectoryLayers } from '../../../../snapshotter/node/snapshots/host-directory-layers.js'
import { SnapshotStore } from '../../../../snapshotter/node/snapshots/snapshot-store.js'

const ROUNDS = 4

/** A program that makes, commits and removes snapshots for ever, and prints each answered call. */
const BUSY_STORE = `
  const [root, start] = process.argv.slice(1)
  const { AllowedDirectories, SnapshotStore, HostDirectories, HostDirectoryLayers } = await import(process.env.SNAPSHOTTER)
  const { pino } = await import('pino')
  const allowed = new AllowedDirectories([])
  const hosts = await HostDirectories.open(root + '/host', { allowed })
  const thinLayers = new HostDirectoryLayers(hosts)
  const log = pino({ level: 'silent' })
  const store = await SnapshotStore.open({ root, overlayOptions: [] }, { log, thinLayers })
  const { signal } = new AbortController()
  const say = (line) => process.stdout.write(line + '\\n')
  for (let i = Number(start); ; i++) {
    const parent = i === 0 ? undefined : 'committed-0'
    await store.prepare({ key: 'active-' + i, parent, labels: {} }, signal)
    await store.commit({ key: 'active-' + i, name: 'committed-' + i, parent: undefined, labels: {} }, signal)
    say('+ committed-' + i)
    if (i % 3 === 2) {
      await store.remove('committed-' + i, signal)
      say('- committed-' + i)
    }
  }
`

describe('SnapshotStore after SIGKILL', function () {
  this.timeout(60_000)
  let root: string
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'crash-'))
  })
  after(async () => {
    await rm(root, { recursive: true })
  })

  it('has every snapshot whose making was answered, and a directory for each', async () => {
    const present = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      const index = new URL('../../../../snapshotter/index.js', import.meta.url).href
      const child = spawn(
        process.execPath,
        ['--input-type=module', '-e', BUSY_STORE, root, String(round * 100_000)],
        { env: { ...process.env, SNAPSHOTTER: index }, stdio: ['ignore', 'pipe', 'inherit'] },
      )
      let lines = 0
      for await (const line of createInterface(child.stdout)) {
        const [sign, name = ''] = line.split(' ')
        if (sign === '+') present.add(name)
        else present.delete(name)
        // Lines that the child wrote before it died are still read.
        if (++lines === 20 + 7 * round) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      assert.equal(child.signalCode, 'SIGKILL')
      await checkStore(present)
    }
    assert.ok(present.size > 20)
  })

  async function checkStore(present: ReadonlySet<string>): Promise<void> {
    const allowed = new AllowedDirectories([])
    const hosts = await HostDirectories.open(join(root, 'host'), { allowed })
    const thinLayers = new HostDirectoryLayers(hosts)
    const log = pino({ level: 'silent' })
    const store = await SnapshotStore.open({ root, overlayOptions: [] }, { log, thinLayers })
    try {
      const all = store.list([])
      const keys = new Set(all.map(({ key }) => key))
      // The last removal may be done without an answer. No other snapshot may be missing.
      const missing = [...present].filter((key) => !keys.has(key))
      assert.ok(missing.length <= 1, missing.join(', '))
      const ids = all.map(({ id }) => String(id)).sort()
      assert.deepEqual((await readdir(join(root, 'snapshots'))).sort(), ids)
    } finally {
      await store.close()
    }
  }
})
