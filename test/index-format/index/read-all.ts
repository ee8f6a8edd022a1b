import assert from 'node:assert/strict'
import { type Index, ROOT_INO } from '../../../index-format/index.js'

/**
 * Reads everything in an index. The number of inodes is bounded, because a damaged index may have a
 * cycle.
 */
export function readAll(index: Index): void {
  const seen = new Set<number>()
  const queue = [ROOT_INO]
  for (const ino of queue) {
    if (seen.has(ino) || seen.size > 1000) continue
    seen.add(ino)
    const inode = index.inode(ino)
    index.readlink(ino)
    index.xattrs(ino)
    index.xattr(ino, Buffer.from('user.note'))
    for (const extent of index.extents(ino)) {
      const table = index.packTable(extent.pack)
      assert.ok(table.frames.length > 0)
    }
    if (inode === undefined) continue
    for (let cookie = 0; ;) {
      const entries = index.readdirPlus(ino, cookie, 1)
      const last = entries.at(-1)
      if (last === undefined || last.cookie > 1000) break
      index.readdir(ino, cookie, 10)
      assert.deepEqual(index.lookupInode(ino, last.name)?.ino, index.lookup(ino, last.name))
      cookie = last.cookie
      queue.push(last.ino)
    }
  }
  for (const pack of index.packs()) index.packKeyOf(pack.digest)
}
