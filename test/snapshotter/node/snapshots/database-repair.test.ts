import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { repairDatabase } from '../../../../snapshotter/node/snapshots/database-repair.js'
import { SnapshotDatabase } from '../../../../snapshotter/node/snapshots/snapshot-database.js'
import { SnapshotStore } from '../../../../snapshotter/node/snapshots/snapshot-store.js'
import type {
  RestoreOptions,
  ThinLayer,
} from '../../../../snapshotter/node/snapshots/thin-layers.js'

const SNAPSHOTS = 400

describe('a snapshot database', () => {
  let root: string
  let path: string

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'repair-'))
    path = join(root, 'snapshots.db')
    const database = SnapshotDatabase.open(path)
    database.transaction(() => {
      for (let i = 1; i <= SNAPSHOTS; i++) {
        const labels = { number: `${i}`.repeat(20) }
        const id = database.insert({
          ...{ key: `key-${i}`, kind: 'active', labels, timeNs: BigInt(i) },
          // Pairs of parent and child.
          parentId: i % 2 === 0 ? i - 1 : undefined,
        })
        mkdirSync(join(root, 'snapshots', String(id), 'fs'), { recursive: true })
      }
    })
    database.close()
  })

  afterEach(() => {
    rmSync(root, { recursive: true })
  })

  it('that is whole needs no repair, and none while a daemon has it open', async () => {
    const before = readFileSync(path)
    assert.equal(await repairDatabase(root, { reset: false }), undefined)
    assert.deepEqual(readFileSync(path), before)
    const database = SnapshotDatabase.open(path)
    for (const reset of [false, true]) {
      await assert.rejects(repairDatabase(root, { reset }), { code: 'failed-precondition' })
    }
    database.close()
  })

  it('that was cut off gives back what is left of it, each with its parent', async () => {
    truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096)
    const refusing = await open()
    assert.equal(refusing.store.refusal?.code, 'failed-precondition')
    await refusing.store.close()
    const result = await repairDatabase(root, { reset: false })
    assert.ok(result !== undefined)
    const { kept, lostDirectories, savedAs } = result
    assert.ok(kept > 50 && kept < SNAPSHOTS, `${kept}`)
    assert.equal(lostDirectories, SNAPSHOTS - kept)
    assert.ok(savedAs !== undefined && statSync(savedAs).size > 0)
    const database = SnapshotDatabase.open(path)
    const keys = new Set([...database.all()].map(({ key }) => key))
    assert.equal(keys.size, kept)
    for (const { id, labels, parent, createdNs } of database.all()) {
      assert.equal(labels['number'], `${id}`.repeat(20))
      assert.equal(createdNs, BigInt(id))
      assert.equal(parent, id % 2 === 0 ? `key-${id - 1}` : undefined)
    }
    const next = {
      key: 'next',
      kind: 'active',
      labels: {},
      timeNs: 1n,
      parentId: undefined,
    } as const
    assert.equal(database.insert(next), SNAPSHOTS + 1)
    database.close()
    assert.deepEqual(
      readdirSync(root).filter((name) => /copy|repair/.test(name)),
      [],
    )
  })

  it('with a damaged page in its middle gives back what is before and behind it', async () => {
    const bytes = readFileSync(path)
    bytes.fill(
      0xa5,
      Math.floor(bytes.length / 8192) * 4096,
      Math.floor(bytes.length / 8192) * 4096 + 4096,
    )
    writeFileSync(path, bytes)
    const result = await repairDatabase(root, { reset: false })
    assert.ok(result !== undefined && result.kept > SNAPSHOTS / 2, `${result?.kept}`)
    assert.equal(await repairDatabase(root, { reset: false }), undefined)
  })

  for (const [what, damage] of [
    [
      'is garbage',
      () => {
        writeFileSync(path, 'garbage '.repeat(2000))
      },
    ],
    [
      'is empty',
      () => {
        truncateSync(path, 0)
      },
    ],
    [
      'is missing',
      () => {
        rmSync(path)
      },
    ],
  ] as const) {
    it(`that ${what} is reset only when that is asked for`, async () => {
      damage()
      await assert.rejects(repairDatabase(root, { reset: false }), {
        code: 'invalid-content',
        message: /thinctl repair --reset/,
      })
      const result = await repairDatabase(root, { reset: true })
      assert.equal(result?.kept, 0)
      assert.equal(result.lostDirectories, SNAPSHOTS)
      const database = SnapshotDatabase.open(path)
      assert.deepEqual([...database.all()], [])
      database.close()
    })

    it(`that ${what} makes a store that refuses every call and forgets nothing`, async () => {
      damage()
      const { store, restored, logged } = await open()
      const signal = new AbortController().signal
      const refuses = { code: 'failed-precondition', message: /thinctl repair/ }
      await assert.rejects(
        store.prepare({ key: 'k', parent: undefined, labels: {} }, signal),
        refuses,
      )
      await assert.rejects(store.cleanup(), refuses)
      assert.throws(() => store.list([]), refuses)
      await store.close()
      assert.deepEqual(restored, [[[], { keepsOthers: true }]])
      assert.equal(logged.filter((line) => line.includes('thinctl repair')).length, 1)
      assert.equal(readdirSync(join(root, 'snapshots')).length, SNAPSHOTS)
    })
  }

  it('that is missing where there is no snapshot is a new one', async () => {
    rmSync(path)
    rmSync(join(root, 'snapshots'), { recursive: true })
    const { store, restored } = await open()
    assert.equal(store.refusal, undefined)
    assert.deepEqual(restored, [[[]]])
    await store.close()
  })

  async function open(): Promise<{
    store: SnapshotStore
    restored: unknown[]
    logged: string[]
  }> {
    const restored: unknown[] = []
    const logged: string[] = []
    const never = (): never => {
      throw new Error('not expected')
    }
    const thinLayers = {
      restore: (...args: [readonly ThinLayer[], RestoreOptions?]) => {
        restored.push(args)
        return Promise.resolve()
      },
      ...{ register: never, lowerdirs: never, release: never, usage: never },
    }
    const log = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) })
    const store = await SnapshotStore.openOrRefuse(
      { root, overlayOptions: [] },
      { log, thinLayers },
    )
    return { store, restored, logged }
  }
})
