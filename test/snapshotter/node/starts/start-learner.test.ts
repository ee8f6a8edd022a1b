import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadListener, TreeRecord } from '../../../../fusefs/index.js'
import { digestOf, type Profile } from '../../../../index-format/index.js'
import { StartLearner } from '../../../../snapshotter/node/starts/start-learner.js'

const PAGE = 4096

describe('StartLearner', () => {
  let listeners: Map<number, ReadListener>
  let learned: Profile[]
  let learner: StartLearner

  beforeEach(() => {
    listeners = new Map()
    learned = []
  })

  afterEach(() => {
    learner.close()
    assert.equal(listeners.size, 0, 'nothing is listened to any more')
  })

  it('learns what is read from the first read on, until it is quiet', async () => {
    open({ periodMs: 10_000, quietMs: 30 })
    const tree = treeOf(3)
    learner.watch(tree)
    await sleep(60)
    read(3, 5, 0, 2 * PAGE)
    read(3, 6, PAGE, 10)
    read(3, 5, PAGE, 2 * PAGE)
    await until(() => learned.length > 0)
    assert.deepEqual(learned, [
      {
        index: tree.indexDigest,
        commands: [],
        ranges: [
          { ino: 5, offset: 0, length: 2 * PAGE },
          { ino: 6, offset: PAGE, length: PAGE },
          { ino: 5, offset: 2 * PAGE, length: PAGE },
        ],
      },
    ])
  })

  it('ends with the period, however much is still read', async () => {
    open({ periodMs: 60, quietMs: 30 })
    learner.watch(treeOf(3))
    for (let page = 0; learned.length === 0 && page < 500; page++) {
      read(3, 5, page * PAGE, PAGE)
      await sleep(5)
    }
    assert.equal(learned.length, 1)
  })

  it('keeps what it has when the tree goes or everything ends, and nothing of an unread tree', () => {
    open({ periodMs: 10_000 })
    for (const slot of [3, 4, 5]) learner.watch(treeOf(slot))
    read(3, 5, 0, 1)
    learner.finish(3)
    read(4, 6, 0, 1)
    learner.close()
    assert.deepEqual(
      learned.map(({ ranges }) => ranges.map(({ ino }) => ino)),
      [[5], [6]],
    )
  })

  it('forgets a tree that somebody else records', () => {
    open({ periodMs: 10_000 })
    learner.watch(treeOf(3))
    read(3, 5, 0, 1)
    learner.drop(3)
    assert.deepEqual(learned, [])
  })

  function open(options: { periodMs: number; quietMs?: number }): void {
    learner = new StartLearner(options, {
      serverOf: () => ({
        recordReads: (slot, listener) => {
          listeners.set(slot, listener)
          return () => listeners.delete(slot)
        },
      }),
      onLearned: (profile) => learned.push(profile),
    })
  }

  function read(slot: number, ino: number, offset: number, sizeBytes: number): void {
    listeners.get(slot)?.(ino, offset, sizeBytes)
  }
})

function treeOf(slot: number): TreeRecord {
  const indexDigest = digestOf(Buffer.from(String(slot)))
  return { slot, name: String(slot), class: 'plain', indexDigest, stores: [] }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 5_000
  while (!isTrue()) {
    assert.ok(performance.now() < deadlineMs)
    await sleep(5)
  }
}
