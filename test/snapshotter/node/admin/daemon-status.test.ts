import assert from 'node:assert/strict'
import { createContentStats } from '../../../../fusefs/index.js'
import { SnapshotterError } from '../../../../snapshotter/errors.js'
import {
  type DaemonStatus,
  daemonStatusFromJson,
} from '../../../../snapshotter/node/admin/daemon-status.js'

const COUNTS = {
  ...{ requests: {}, bytesRead: 0, bytesStored: 0, misses: 0 },
  ...{ errors: 0, faults: 0, refused: 0 },
}

const STATUS: DaemonStatus = {
  version: '0.1.0',
  pid: 7,
  uptimeSec: 3600,
  address: '/run/thin.sock',
  root: '/var/lib/thin',
  snapshots: { committed: 4, active: 3, view: 2, thin: 1 },
  trees: [
    {
      slot: 1,
      class: 'plain',
      path: '/var/lib/thin/plain/1',
      indexDigest: `sha256:${'a'.repeat(64)}`,
      isIndexPartial: true,
      stores: ['https://store.example'],
      snapshots: 2,
      files: 10,
      sizeBytes: 1000,
      cachedBytes: 10,
      packBytes: 100,
    },
    {
      slot: 2,
      class: 'xattr',
      path: '/var/lib/thin/xattr/2',
      indexDigest: `sha256:${'b'.repeat(64)}`,
      isIndexPartial: false,
      stores: [],
      snapshots: 0,
      files: 0,
      sizeBytes: 0,
      cachedBytes: 0,
      packBytes: 0,
      error: 'the index is gone',
    },
  ],
  cache: { directory: '/var/lib/thin/cache', usageBytes: 5, maxBytes: 50, packs: 1 },
  background: { state: 'waiting', completeTrees: 1, treesWithoutRoom: 0, failedTrees: 0 },
  content: { ...createContentStats(), misses: 9, bytesFetched: 1234 },
  fuse: {
    plain: { ...COUNTS, requests: { LOOKUP: 3, other: 1 }, bytesRead: 4096 },
    xattr: COUNTS,
  },
  memoryBytes: 100_000_000,
}

describe('daemonStatusFromJson', () => {
  it('keeps everything that a daemon says', () => {
    assert.deepEqual(daemonStatusFromJson(JSON.stringify(STATUS)), STATUS)
  })

  it('takes a counter that an older daemon does not have as 0', () => {
    const { misses, failovers, ...older } = STATUS.content
    const text = JSON.stringify({ ...STATUS, content: older })
    assert.deepEqual([misses, failovers], [9, 0])
    assert.deepEqual(daemonStatusFromJson(text).content, { ...STATUS.content, misses: 0 })
  })

  it('leaves out counters and opcodes that only a newer daemon has', () => {
    const plain = { ...STATUS.fuse.plain, requests: { LOOKUP: 3, other: 1, FUTURE: 5 } }
    const text = JSON.stringify({
      ...STATUS,
      content: { ...STATUS.content, future: 5 },
      fuse: { ...STATUS.fuse, plain },
    })
    assert.deepEqual(daemonStatusFromJson(text), STATUS)
  })

  const hostile: readonly (readonly [string, unknown, RegExp])[] = [
    ['no object', [STATUS], /expected a JSON object/],
    ['a pid that is text', { ...STATUS, pid: '7' }, /pid must be a whole number/],
    ['a negative size', { ...STATUS, memoryBytes: -1 }, /memoryBytes must be a whole number/],
    ['no trees list', { ...STATUS, trees: { length: 1 } }, /trees must be an array/],
    ['a tree that is null', { ...STATUS, trees: [null] }, /trees\[0\]: expected a JSON object/],
    [
      'an unknown class',
      { ...STATUS, trees: [{ ...STATUS.trees[0], class: '__proto__' }] },
      /class must be one of plain, xattr/,
    ],
    [
      'a flag that is text',
      { ...STATUS, trees: [{ ...STATUS.trees[0], isIndexPartial: 'no' }] },
      /isIndexPartial must be true or false/,
    ],
    [
      'an unknown state',
      { ...STATUS, background: { ...STATUS.background, state: 'asleep' } },
      /state must be one of/,
    ],
    [
      'a counter that is no number',
      { ...STATUS, content: { ...STATUS.content, misses: null } },
      /misses must be a whole number/,
    ],
    ['a mount without counters', { ...STATUS, fuse: { plain: COUNTS } }, /fuse: xattr/],
    [
      'a count of requests that is text',
      { ...STATUS, fuse: { plain: COUNTS, xattr: { ...COUNTS, requests: { LOOKUP: '1' } } } },
      /fuse: xattr/,
    ],
  ]
  for (const [name, status, message] of hostile) {
    it(`refuses ${name}`, () => {
      assert.throws(() => daemonStatusFromJson(JSON.stringify(status)), refused(message))
    })
  }

  it('refuses what is not JSON', () => {
    assert.throws(() => daemonStatusFromJson('<html>'), refused(/not JSON/))
  })
})

function refused(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SnapshotterError)
    assert.equal(error.code, 'invalid-content')
    assert.match(error.message, message)
    return true
  }
}
