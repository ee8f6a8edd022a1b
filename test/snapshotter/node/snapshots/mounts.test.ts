import assert from 'node:assert/strict'
import {
  type Lower,
  mountsOf,
  type MountsInput,
} from '../../../../snapshotter/node/snapshots/mounts.js'

const BASE: MountsInput = {
  kind: 'active',
  fsDir: '/r/snapshots/9/fs',
  workDir: '/r/snapshots/9/work',
  hasParent: true,
  lowers: [],
  emptyDir: '/r/empty',
  overlayOptions: ['index=off'],
}

const ordinary = (path: string): Lower => ({ kind: 'ordinary', path })
const thin = (path: string): Lower => ({ kind: 'thin', path })
const UPPER = ['workdir=/r/snapshots/9/work', 'upperdir=/r/snapshots/9/fs']

const TABLE: readonly (readonly [
  string,
  Partial<MountsInput>,
  string,
  string,
  readonly string[],
])[] = [
  [
    'an active snapshot without parent is a writable bind mount',
    { hasParent: false },
    'bind',
    '/r/snapshots/9/fs',
    ['rw', 'rbind'],
  ],
  [
    'a view without parent is a read-only bind mount',
    { hasParent: false, kind: 'view' },
    'bind',
    '/r/snapshots/9/fs',
    ['ro', 'rbind'],
  ],
  [
    'an active snapshot with one parent is an overlay',
    { lowers: [ordinary('/r/snapshots/1/fs')] },
    'overlay',
    'overlay',
    [...UPPER, 'lowerdir=/r/snapshots/1/fs', 'index=off'],
  ],
  [
    'lower directories stand in the order of the chain, thin ones among ordinary ones',
    { lowers: [ordinary('/r/snapshots/2/fs'), thin('/r/t/b'), thin('/r/t/a')] },
    'overlay',
    'overlay',
    [...UPPER, 'lowerdir=/r/snapshots/2/fs:/r/t/b:/r/t/a', 'index=off'],
  ],
  [
    'a view of one ordinary layer is a read-only bind mount of it',
    { kind: 'view', lowers: [ordinary('/r/snapshots/1/fs')] },
    'bind',
    '/r/snapshots/1/fs',
    ['ro', 'rbind'],
  ],
  [
    'a view of one thin layer is an overlay, for the sake of setuid files and devices',
    { kind: 'view', lowers: [thin('/r/t/a')] },
    'overlay',
    'overlay',
    ['lowerdir=/r/t/a:/r/empty', 'index=off'],
  ],
  [
    'a view of several layers is an overlay without upper directory',
    { kind: 'view', lowers: [ordinary('/r/snapshots/2/fs'), ordinary('/r/snapshots/1/fs')] },
    'overlay',
    'overlay',
    ['lowerdir=/r/snapshots/2/fs:/r/snapshots/1/fs', 'index=off'],
  ],
  [
    'a repeated directory counts where it is highest',
    { lowers: [thin('/r/t/a'), thin('/r/t/b'), thin('/r/t/a')] },
    'overlay',
    'overlay',
    [...UPPER, 'lowerdir=/r/t/a:/r/t/b', 'index=off'],
  ],
  [
    'a parent without lower directories is an empty one',
    {},
    'overlay',
    'overlay',
    [...UPPER, 'lowerdir=/r/empty', 'index=off'],
  ],
  [
    'a view of nothing is a bind mount of the empty directory',
    { kind: 'view' },
    'bind',
    '/r/empty',
    ['ro', 'rbind'],
  ],
]

describe('mountsOf', () => {
  for (const [name, change, type, source, options] of TABLE) {
    it(name, () => {
      assert.deepEqual(mountsOf({ ...BASE, ...change }), [{ type, source, target: '', options }])
    })
  }
})
