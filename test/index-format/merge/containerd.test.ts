/**
 * Tests how layers are unpacked and merged. The same archives are unpacked by a real containerd and
 * mounted by the kernel, and compared with our merged tree, attribute by attribute.
 */
import assert from 'node:assert/strict'
import { ProgramError } from '../../sandbox/program.js'
import type { Dump } from '../layer/tree-dump.js'
import { type FixtureMember, tarOf } from '../tar/tar-fixture.js'
import { ContainerdView } from './containerd-view.js'
import { EVERYTHING } from './everything-stack.js'
import { LayerStack } from './layer-stack.js'
import { randomStack } from './random-stack.js'

/** The first seed, and the number of stacks, each with the next seed. A failure names its seed. */
const FIRST_SEED = Number(process.env['THIN_LAYER_SEED'] ?? 1)
const STACKS = Number(process.env['THIN_LAYER_STACKS'] ?? 12)
const GIVEN_UP = /not a directory|too many links|no such file or directory/

describe('MergedTree against containerd and the kernel', function () {
  this.timeout(120_000)
  let view: ContainerdView

  before(async () => {
    view = await ContainerdView.start()
  })

  after(async () => {
    await view.close()
  })

  async function assertSame(layers: readonly (readonly FixtureMember[])[]): Promise<Dump> {
    const archives = layers.map((members) => tarOf(...members))
    const stack = await LayerStack.build(archives)
    try {
      const ours = stack.dump()
      const theirs = await view.dump(archives)
      assert.deepEqual(differencesOf(ours, theirs, stack), [])
      return ours
    } finally {
      stack.close()
    }
  }

  it('sees five layers with everything in them the same', async () => {
    const dump = await assertSame(EVERYTHING)
    assert.equal(dump['dev/zero-zero'], undefined)
    assert.ok(Object.keys(dump).length > 60, `${Object.keys(dump).length} paths`)
  })

  for (const count of [4, 3, 2]) {
    it(`sees the lowest ${count} of them the same`, async () => {
      await assertSame(EVERYTHING.slice(0, count))
    })
  }

  it('sees the lowest alone the same', async () => {
    // An image of one layer is mounted by a bind mount instead of overlayfs, which shows a device
    // 0:0 as such.
    const [lowest = []] = EVERYTHING
    await assertSame([lowest.filter(({ path }) => path !== 'dev/zero-zero')])
  })

  it('sees random stacks the same', async function () {
    this.timeout(STACKS * 5_000 + 60_000)
    let refused = 0
    for (let seed = FIRST_SEED; seed < FIRST_SEED + STACKS; seed++) {
      try {
        await assertSame(randomStack(seed))
      } catch (error) {
        // containerd fails where a path leads through a non-directory or a loop of links.
        if (error instanceof ProgramError && GIVEN_UP.test(error.message)) refused++
        else throw new Error(`seed ${seed}`, { cause: error })
      }
    }
    assert.ok(refused <= STACKS / 2, `containerd took only ${STACKS - refused} of ${STACKS} stacks`)
  })
})

/**
 * Returns every difference, except for the mtime of a directory that no archive names: containerd
 * sets it to the time of unpacking.
 */
function differencesOf(ours: Dump, theirs: Dump, stack: LayerStack): string[] {
  const differences: string[] = []
  for (const path of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const [left, right] = [ours[path], theirs[path]]
    if (left === undefined || right === undefined) {
      differences.push(`${path}: only ${left === undefined ? 'theirs' : 'ours'}`)
      continue
    }
    for (const key of [
      'mode',
      'uid',
      'gid',
      'nlink',
      'sizeBytes',
      'rdev',
      'mtime',
      'target',
      'xattrs',
      'content',
      'sameAs',
    ] as const) {
      if (key === 'mtime' && stack.isImplied(path)) continue
      const [a, b] = [JSON.stringify(left[key]), JSON.stringify(right[key])]
      if (a !== b) differences.push(`${path}: ${key} is ${a} in ours, ${b} in theirs`)
    }
  }
  return differences
}
