import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Index,
  type PackTable,
  type StartupPlan,
  type StartupRun,
  writeIndex,
} from '../../../../index-format/index.js'
import { StartupPackPlaces } from '../../../../snapshotter/node/starts/startup-pack-places.js'
import { patternBytes, SampleTree } from '../../../fusefs/filesystem/sample-tree.js'

const PAGE = 4096
const FILE = 0o100644

describe('StartupPackPlaces', () => {
  let folder: string
  let index: Index
  let pack: PackTable
  /** The runs of the files, in their order in the pack. */
  let runs: StartupRun[]

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'startup-places-'))
    const tree = new SampleTree([
      { path: '', mode: 0o040755 },
      { path: 'a', mode: FILE, content: [patternBytes(20 * PAGE, 'a')] },
      { path: 'b', mode: FILE, content: [patternBytes(5001, 'b')] },
    ])
    pack = tree.pack.table
    writeIndex(tree, { path: join(folder, 'index'), kind: 'merged', packs: [pack] })
    index = Index.open(join(folder, 'index'))
    const [a, b] = ['a', 'b'].map((name) => index.lookup(1, Buffer.from(name)) ?? 0)
    runs = [
      { ino: a ?? 0, offset: 0, length: 10 * PAGE },
      { ino: a ?? 0, offset: 10 * PAGE, length: 10 * PAGE },
      { ino: b ?? 0, offset: 0, length: 5001 },
    ]
  })

  after(() => {
    index.close()
    rmSync(folder, { recursive: true })
  })

  it('says for each frame which bytes of which files it holds', () => {
    const places = new StartupPackPlaces(planOf(), index)
    const [first, second, third] = runs
    assert.ok(first && second && third)
    assert.equal(pack.frames.length, 2)
    // A frame of these packs has 16 pages.
    assert.deepEqual(places.partsOf(0, 0), [
      { ino: first.ino, offset: 0, from: 0, length: 10 * PAGE },
      { ino: second.ino, offset: 10 * PAGE, from: 10 * PAGE, length: 6 * PAGE },
    ])
    assert.deepEqual(places.partsOf(0, 1), [
      { ino: second.ino, offset: 16 * PAGE, from: 0, length: 4 * PAGE },
      { ino: third.ino, offset: 0, from: 4 * PAGE, length: 5001 },
    ])
    assert.deepEqual(places.partsOf(1, 0), [])
  })

  it('leaves out what the index does not confirm', () => {
    const [first, second, third] = runs
    assert.ok(first && second && third)
    // The lengths are the same, so that the plan is well-formed. But the pages of the two runs are
    // swapped.
    const swapped = [{ ...second }, { ...first }, third]
    const places = new StartupPackPlaces(planOf({ runs: swapped }), index)
    assert.deepEqual(places.partsOf(0, 0), [])
    assert.deepEqual(places.partsOf(0, 1), [
      { ino: third.ino, offset: 0, from: 4 * PAGE, length: 5001 },
    ])
    const foreign = new StartupPackPlaces(
      planOf({ runs: [{ ...first, ino: 99 }, second, third] }),
      index,
    )
    assert.equal(foreign.partsOf(0, 0).length, 1)
  })

  it('believes no frame of a pack whose table is not that of the index', () => {
    const [frame, ...others] = pack.frames
    assert.ok(frame)
    const lying = { ...pack, frames: [{ ...frame, digest: pack.digest }, ...others] }
    const places = new StartupPackPlaces(planOf({ packs: [lying] }), index)
    assert.deepEqual(places.partsOf(0, 0), [])
    assert.deepEqual(places.partsOf(0, 1), [])
  })

  function planOf(changes: Partial<StartupPlan> = {}): StartupPlan {
    return { packs: [pack], runs, paths: new Map(), ...changes }
  }
})
