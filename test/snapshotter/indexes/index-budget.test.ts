import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest, IndexRef } from '../../../index-format/index.js'
import { IndexBudget } from '../../../snapshotter/indexes/index-budget.js'
import { SnapshotterError } from '../../../snapshotter/index.js'

const DIGEST: Digest = `sha256:${'ab'.repeat(32)}`

describe('IndexBudget', () => {
  let folder: string
  let whole: string
  let usages: number[]
  let freeBytes: number
  let budget: IndexBudget

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'index-budget-'))
    whole = join(folder, 'sha256')
    mkdirSync(whole)
    usages = []
    freeBytes = 1e9
    budget = new IndexBudget(
      { folders: [whole, join(folder, 'partial')], maxBytes: 1000 },
      { onUsage: (bytes) => usages.push(bytes), freeBytes: () => freeBytes },
    )
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  it('counts whole and partial indexes, and the one that is about to come', () => {
    writeFileSync(join(whole, 'a'), Buffer.alloc(100))
    mkdirSync(join(folder, 'partial'))
    writeFileSync(join(folder, 'partial', 'b'), Buffer.alloc(50))
    budget.refresh()
    budget.admit(refOf(25))
    assert.deepEqual(usages, [150, 175])
  })

  it('lets indexes take half of the cache, and names the key when there is no more', () => {
    writeFileSync(join(whole, 'a'), Buffer.alloc(400))
    budget.admit(refOf(100))
    refuses(refOf(101), /more than half of cache\.size \(1000 bytes\)/)
  })

  it('has room again when an index is removed', () => {
    writeFileSync(join(whole, 'a'), Buffer.alloc(400))
    refuses(refOf(200), /cache\.size/)
    rmSync(join(whole, 'a'))
    budget.refresh()
    budget.admit(refOf(200))
    assert.deepEqual(usages, [0, 200])
  })

  it('refuses an index for which the disk has no space', () => {
    freeBytes = 99
    refuses(refOf(100), /has 99 bytes left; free some space/)
  })

  function refuses(ref: IndexRef, message: RegExp): void {
    assert.throws(
      () => {
        budget.admit(ref)
      },
      (error: unknown) => {
        assert.ok(error instanceof SnapshotterError)
        assert.equal(error.code, 'failed-precondition')
        assert.match(error.message, message)
        return true
      },
    )
  }
})

function refOf(sizeBytes: number): IndexRef {
  return { digest: DIGEST, sizeBytes, blob: { digest: DIGEST, sizeBytes: 10 }, xattrs: false }
}
