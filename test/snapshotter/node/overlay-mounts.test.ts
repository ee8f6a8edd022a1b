import assert from 'node:assert/strict'
import { overlayMountsFrom } from '../../../snapshotter/node/overlay-mounts.js'

describe('overlayMountsFrom', () => {
  const line = (mountpoint: string, options: string, type = 'overlay'): string =>
    `96 27 0:58 / ${mountpoint} rw,relatime shared:1 - ${type} overlay rw,${options},xino=off`

  it('reads directories in the old and in the new spelling', () => {
    const table = [
      line('/a', 'lowerdir=/r/plain/1:/r/snapshots/2/fs,upperdir=/r/snapshots/3/fs,workdir=/w'),
      line('/b', 'lowerdir+=/r/plain/1,lowerdir+=/r/plain/2'),
      line('/c', 'lowerdir=/r/plain/1', 'ext4'),
      '',
    ].join('\n')
    assert.deepEqual(overlayMountsFrom(table), [
      {
        mountpoint: '/a',
        lowerDirectories: ['/r/plain/1', '/r/snapshots/2/fs'],
        upperDirectory: '/r/snapshots/3/fs',
      },
      {
        mountpoint: '/b',
        lowerDirectories: ['/r/plain/1', '/r/plain/2'],
        upperDirectory: undefined,
      },
    ])
  })

  it('reads names that the kernel escapes', () => {
    const table = line('/with\\040space', 'lowerdir=/r/comma\\054/\xc3\xa4')
    assert.deepEqual(overlayMountsFrom(table), [
      {
        mountpoint: '/with space',
        lowerDirectories: ['/r/comma,/ä'],
        upperDirectory: undefined,
      },
    ])
  })
})
