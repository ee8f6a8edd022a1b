import assert from 'node:assert/strict'
import { filesystemSuite } from '../filesystem/filesystem-suite.js'
import { MountViewer } from '../filesystem/mount-viewer.js'
import { XATTR_MEMBERS } from '../filesystem/sample-members.js'
import { SampleTreeMount, skipReasonOfNative } from './sample-tree-mount.js'

describe('a tree mounted through fuse-native', () => {
  let mount: SampleTreeMount

  before(async function () {
    const reason = await skipReasonOfNative()
    if (reason !== undefined) {
      console.log(`      skipped: ${reason}`)
      this.skip()
    }
    mount = await SampleTreeMount.create(XATTR_MEMBERS, 'native')
  })

  after(async () => {
    await mount.close()
  })

  filesystemSuite({
    viewer: () => new MountViewer(mount.mountpoint),
    limitations: ['hard-link inode numbers', 'nanoseconds', 'names that are not UTF-8'],
  })

  it('is read-only to the kernel', () => {
    assert.match(mount.procMounts(), /fuse\.thin ro,/)
  })

  it('says in the log which names it does not show', async () => {
    await new MountViewer(mount.mountpoint).list('')
    assert.ok(mount.log.warnings.includes('names that are not UTF-8 are not shown'))
  })

  it('answered all of this without a fault', () => {
    assert.deepEqual(mount.log.errors, [])
  })
})
