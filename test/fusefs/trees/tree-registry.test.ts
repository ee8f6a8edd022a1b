import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { TreeRegistry } from '../../../fusefs/index.js'
import { slotFromName } from '../../../fusefs/trees/tree-registry.js'
import { digestOf } from '../../../index-format/index.js'

const ONE = digestOf(Buffer.from('one'))
const TWO = digestOf(Buffer.from('two'))

describe('TreeRegistry', () => {
  let dir: string
  let registry: TreeRegistry

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'thin-registry-'))
    registry = TreeRegistry.open({ dir })
  })

  afterEach(() => {
    registry.close()
    rmSync(dir, { recursive: true })
  })

  it('keeps a tree its slot, and merges its stores in the order they came', () => {
    const first = registry.register({ indexDigest: ONE, class: 'plain', stores: ['a', 'b', 'a'] })
    assert.deepEqual(first.stores, ['a', 'b'])
    const again = registry.register({ indexDigest: ONE, class: 'plain', stores: ['c', 'b'] })
    assert.deepEqual([again.slot, again.stores], [first.slot, ['a', 'b', 'c']])
  })

  it('gives an index a slot of its own in each class', () => {
    const plain = registry.register({ indexDigest: ONE, class: 'plain', stores: [] })
    const xattr = registry.register({ indexDigest: ONE, class: 'xattr', stores: [] })
    assert.notEqual(plain.slot, xattr.slot)
    assert.deepEqual(registry.byIndex(ONE), [plain, xattr])
    assert.deepEqual(registry.after('xattr', 0, 10), [xattr])
    assert.deepEqual(registry.after('plain', plain.slot, 10), [])
  })

  it('never uses a slot again, not even the highest after a restart', () => {
    const removed = registry.register({ indexDigest: ONE, class: 'plain', stores: ['a'] })
    assert.equal(registry.remove(removed.slot), true)
    assert.equal(registry.remove(removed.slot), false)
    registry.close()
    registry = TreeRegistry.open({ dir })
    const again = registry.register({ indexDigest: ONE, class: 'plain', stores: [] })
    assert.ok(again.slot > removed.slot)
    assert.deepEqual(again.stores, [])
    assert.equal(registry.bySlot(removed.slot), undefined)
  })

  it('shows readers of other threads what was written, while it is open for writing', () => {
    const reader = TreeRegistry.open({ dir, readonly: true })
    assert.deepEqual(reader.list(), [])
    const record = registry.register({ indexDigest: TWO, class: 'plain', stores: ['a'] })
    assert.deepEqual(reader.list(), [record])
    assert.deepEqual(reader.bySlot(record.slot), record)
    assert.throws(() => reader.remove(record.slot))
    reader.close()
  })

  it('names trees by slot in base 36, and reads no other spelling', () => {
    const record = registry.register({ indexDigest: ONE, class: 'plain', stores: [] })
    assert.equal(record.name, record.slot.toString(36))
    const slots = ['1', 'z', '10', '01', 'Z', '0', '', ' 1', '1x!', 'zzzzzz'].map((name) =>
      slotFromName(Buffer.from(name)),
    )
    const none = undefined
    assert.deepEqual(slots, [1, 35, 36, none, none, none, none, none, none, none])
  })

  it('refuses a file of another program, another version, or none at all', () => {
    const other = join(dir, 'other')
    assert.throws(() => TreeRegistry.open({ dir: other, readonly: true }), {
      code: 'tree-unavailable',
    })
    TreeRegistry.open({ dir: other }).close()
    const db = new Database(join(other, 'trees.db'))
    db.pragma('user_version = 9')
    db.close()
    assert.throws(() => TreeRegistry.open({ dir: other }), /version 9, this build reads/)
    writeFileSync(join(other, 'trees.db'), 'not SQLite'.repeat(1000))
    assert.throws(() => TreeRegistry.open({ dir: other }), { code: 'tree-unavailable' })
  })
})
