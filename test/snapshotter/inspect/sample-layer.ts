/** A layer with one member of each kind, and with metadata that filesystems often lose. */
import type { FixtureMember } from '../../index-format/tar/tar-fixture.js'

/** A capability set as the kernel stores it (linux/capability.h, vfs_cap_data, revision 2). */
export const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')
/** 64 KiB of data in the middle of a file of 10 MB. */
export const SPARSE_DATA = pseudoRandom(65_536, 7)
export const SPARSE_OFFSET = 5_000_000
export const SPARSE_SIZE = 10_000_000
/** Content so large that it is cut into several frames. */
export const LARGE = pseudoRandom(3_000_000, 1)

const sparseMap = Buffer.alloc(512)
sparseMap.write(`1\n${SPARSE_OFFSET}\n${SPARSE_DATA.length}\n`)

export const SAMPLE_LAYER: readonly FixtureMember[] = [
  { path: 'bin/', mode: 0o755 },
  { path: 'bin/ping', mode: 0o755, body: 'ping', xattrs: { 'security.capability': CAPABILITY } },
  { path: 'bin/su', mode: 0o4755, body: 'su' },
  { path: 'dev/null', type: '3', mode: 0o666, devMajor: 1, devMinor: 3 },
  { path: 'dev/pipe', type: '6', mode: 0o600 },
  { path: 'dev/sda', type: '4', mode: 0o660, gid: 6, devMajor: 8, devMinor: 300 },
  { path: 'etc/' },
  { path: 'etc/hard-a', body: 'one file with two names', uid: 1000, gid: 1001 },
  { path: 'etc/hard-b', type: '1', link: 'etc/hard-a', uid: 1000, gid: 1001 },
  { path: 'etc/copy-of-a', body: 'one file with two names' },
  { path: 'etc/absolute', type: '2', link: '/bin/su' },
  { path: 'etc/relative', type: '2', link: '../bin/../etc/absolute' },
  { path: 'etc/loop', type: '2', link: 'loop' },
  { path: Buffer.from('etc/caf\xe9 \n', 'latin1'), body: 'not UTF-8' },
  { path: 'etc/empty', body: '' },
  { path: 'etc/late', body: 'x', pax: { mtime: '1700000000.123456789' } },
  { path: 'usr/lib/large.so', body: LARGE },
  {
    path: 'usr/lib/sparse',
    body: Buffer.concat([sparseMap, SPARSE_DATA]),
    pax: {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': 'usr/lib/sparse',
      'GNU.sparse.realsize': `${SPARSE_SIZE}`,
    },
  },
  { path: 'tmp/', mode: 0o1777, xattrs: { 'user.note': 'sticky' } },
  { path: 'usr/.wh.gone', body: '' },
]

/** Returns the same bytes for the same seed. zstd cannot compress them. */
export function pseudoRandom(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    // Numerical Recipes' linear congruential generator, modulo 2^32.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}
