import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import { type ContentStats, createContentStats } from '../../../../fusefs/index.js'
import { SnapshotterError } from '../../../../snapshotter/errors.js'
import { warmUp } from '../../../../snapshotter/node/daemon/warm-up.js'
import { REHEARSAL_KEY_PREFIX } from '../../../../snapshotter/node/rehearsal/rehearse.js'
import { SnapshotStore } from '../../../../snapshotter/node/snapshots/snapshot-store.js'
import type { ThinLayer } from '../../../../snapshotter/node/snapshots/thin-layers.js'

const never = new AbortController().signal

describe('warmUp', () => {
  let folder: string
  let store: SnapshotStore
  let stats: ContentStats
  let log: Logger
  let startLog: Logger
  let logged: { level: number; msg: string; err?: { message: string } }[]
  /** Called at every registration of the rehearsal's layer, which then fails. */
  let onRegister: () => void
  let registrations: number

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'warm-up-'))
    mkdirSync(join(folder, 'state'))
    logged = []
    registrations = 0
    onRegister = () => undefined
    log = pino(
      { level: 'info' },
      { write: (line: string) => logged.push(JSON.parse(line) as (typeof logged)[0]) },
    )
    startLog = log.child({})
    stats = createContentStats()
    const unexpected = (): never => {
      throw new Error('not expected')
    }
    const register = (): Promise<ThinLayer> => {
      registrations++
      onRegister()
      return Promise.reject(new SnapshotterError('unavailable', 'the true reason'))
    }
    store = await SnapshotStore.open(
      { root: join(folder, 'root'), overlayOptions: [] },
      {
        log,
        thinLayers: {
          ...{ restore: () => Promise.resolve(), register },
          ...{ lowerdirs: unexpected, release: unexpected, usage: unexpected },
        },
      },
    )
  })

  afterEach(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })

  it('logs why it failed, and leaves nothing that would turn it off', async () => {
    await warm()
    assert.equal(registrations, 1)
    const problems = logged.filter(({ level }) => level >= 40)
    const warning = problems.find(({ msg }) => msg.startsWith('the rehearsal failed'))
    assert.match(warning?.err?.message ?? '', /the true reason/)
    for (const { msg } of problems) assert.match(msg, /the rehearsal failed|the true reason/)
    assert.deepEqual(store.list([]), [])
    assert.deepEqual(readdirSync(join(folder, 'state')), [])
    await warm()
    assert.equal(registrations, 2)
  })

  it('clears away what an earlier one has left, and runs', async () => {
    const key = `${REHEARSAL_KEY_PREFIX}left`
    await prepare(`${key}-extract`)
    await store.commit({ name: key, key: `${key}-extract`, labels: {}, parent: undefined }, never)
    await prepare(`${key}-container`, key)
    mkdirSync(join(folder, 'state', 'r-Abc123'))
    await warm()
    assert.equal(registrations, 1)
    assert.deepEqual(store.list([]), [])
    assert.deepEqual(readdirSync(join(folder, 'state')), [])
  })

  it('does not run where there are snapshots or trees', async () => {
    await warm([{}])
    await prepare('default/1/image')
    await warm()
    assert.equal(registrations, 0)
    assert.deepEqual(
      store.list([]).map(({ key }) => key),
      ['default/1/image'],
    )
  })

  it('keeps what was counted before, and counts nothing itself', async () => {
    stats.diskFailures = 3
    onRegister = () => {
      stats.misses += 7
    }
    await warm()
    assert.equal(registrations, 1)
    assert.deepEqual(stats, { ...createContentStats(), diskFailures: 3 })
  })

  it('mutes the log of starts alone, and only meanwhile', async () => {
    const levels: string[] = []
    onRegister = () => {
      levels.push(log.level, startLog.level)
    }
    await warm()
    assert.deepEqual(levels, ['info', 'error'])
    assert.equal(startLog.level, 'info')
  })

  async function warm(trees: readonly unknown[] = []): Promise<void> {
    await warmUp({
      ...{ store, log, startLog },
      config: { state: join(folder, 'state') },
      registry: { list: () => [...trees] as never[] },
      content: { stats, remove: () => 0 },
      sources: { admit: () => () => undefined },
    })
  }

  async function prepare(key: string, parent?: string): Promise<void> {
    await store.prepare({ key, parent, labels: {} }, never)
  }
})
