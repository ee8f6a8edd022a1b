import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  digestOf,
  Index,
  type PackTable,
  type ProfileRange,
  writeIndex,
} from '../../../../index-format/index.js'
import type { PrefetchPlan } from '../../../../snapshotter/node/starts/start.js'
import { planOfProfile } from '../../../../snapshotter/node/starts/profile-plan.js'
import { patternBytes, SampleTree } from '../../../fusefs/filesystem/sample-tree.js'

const PAGE = 4096
/** A frame of these packs has 16 pages. */
const FRAME = 16 * PAGE
const FILE = 0o100644

describe('planOfProfile', () => {
  let folder: string
  let indexPath: string
  let index: Index
  let pack: PackTable
  let raw: Uint8Array

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'profile-plan-'))
    indexPath = join(folder, 'index')
    const tree = new SampleTree([
      { path: '', mode: 0o040755 },
      { path: 'a', mode: FILE, content: [patternBytes(20 * PAGE, 'a')] },
      { path: 'b', mode: FILE, content: [patternBytes(5001, 'b')] },
      { path: 'c', mode: FILE, content: [patternBytes(30 * PAGE, 'c')] },
    ])
    ;({ table: pack, raw } = tree.pack)
    writeIndex(tree, { path: indexPath, kind: 'merged', packs: [pack] })
    index = Index.open(indexPath)
  })

  after(() => {
    index.close()
    rmSync(folder, { recursive: true })
  })

  it('names the frames that hold what was read, and no others', () => {
    const plan = planOf(rangeOf('a', 17, 1))
    assert.deepEqual(plan.steps, [[{ pack: 0, first: 1, count: 1 }]])
    assert.deepEqual(plan.packs[0]?.digest, pack.digest)
    assert.equal(plan.rawBytes, FRAME)
    assert.deepEqual(
      [...plan.paths.values()].map((path) => Buffer.from(path).toString()),
      ['a'],
    )
  })

  it('asks for neighbours together', () => {
    const plan = planOf(rangeOf('c', 25, 2), rangeOf('a', 0, 1))
    assert.deepEqual(plan.steps, [[{ pack: 0, first: 0, count: pack.frames.length }]])
  })

  it('fills pages with the bytes that belong there, but none that a frame cuts', () => {
    const plan = planOf(rangeOf('a', 0, 20), rangeOf('b', 0, 2), rangeOf('c', 0, 30))
    const places = plan.placesIn(index)
    const filled = new Map<number, Uint8Array>()
    for (const [frameAt, frame] of pack.frames.entries()) {
      for (const { ino, offset, from, length } of places.partsOf(0, frameAt)) {
        assert.equal(offset % PAGE, 0)
        const end = index.inode(ino)?.sizeBytes
        assert.ok((offset + length) % PAGE === 0 || offset + length === end)
        const bytes = raw.subarray(frame.rawOffset + from, frame.rawOffset + from + length)
        assert.deepEqual(bytes, contentOf(ino, offset, length))
        filled.set(ino, bytes)
      }
    }
    // File b ends inside a page of the pack, so that frames cut pages of file c. Each of the three
    // files still has pages that no frame cuts.
    assert.equal(filled.size, 3)
  })

  it('leaves out what the tree does not have', () => {
    const plan = planOf({ ino: 99, offset: 0, length: PAGE }, rangeOf('b', 5, 1))
    assert.deepEqual(plan.steps, [[]])
    assert.equal(plan.rawBytes, 0)
  })

  function planOf(...ranges: ProfileRange[]): PrefetchPlan {
    const profile = { index: digestOf(Buffer.from('any')), commands: [], ranges }
    return planOfProfile(profile, indexPath)
  }

  function rangeOf(name: string, page: number, pages: number): ProfileRange {
    const ino = index.lookup(1, Buffer.from(name)) ?? 0
    return { ino, offset: page * PAGE, length: pages * PAGE }
  }

  function contentOf(ino: number, offset: number, length: number): Uint8Array {
    const [extent] = index.extents(ino)
    const from = (extent?.rawOffset ?? 0) + offset
    return raw.subarray(from, from + length)
  }
})
