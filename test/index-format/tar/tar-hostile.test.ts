/**
 * Tests that archives that break the format are refused with the right code, and with a message
 * that names the member and the limit.
 */
import assert from 'node:assert/strict'
import { type IndexFormatErrorCode, readTar } from '../../../index-format/index.js'
import { chunksOf, memberBytes, paxHeader, tarOf } from './tar-fixture.js'

interface HostileCase {
  readonly name: string
  readonly archive: Uint8Array
  readonly code: IndexFormatErrorCode
  readonly message: RegExp
}

const oldSparse = { type: 'S', magic: 'ustar  \0', path: 'holes' }

const CASES: readonly HostileCase[] = [
  {
    name: 'a wrong checksum',
    archive: tarOf({ path: 'f', damage: [{ at: 0, bytes: 'g' }] }),
    code: 'invalid-tar',
    message: /header at byte 0: wrong checksum/,
  },
  {
    name: 'a checksum that is no number',
    archive: tarOf({ path: 'f', damage: [{ at: 148, bytes: 'checksum' }] }),
    code: 'invalid-tar',
    message: /header at byte 0: wrong checksum/,
  },
  {
    name: 'a checksum with a digit that is not octal',
    archive: tarOf({ path: 'f', damage: [{ at: 153, bytes: '9' }] }),
    code: 'invalid-tar',
    message: /header at byte 0: wrong checksum/,
  },
  {
    name: 'a header cut short',
    archive: memberBytes({ path: 'f' }).subarray(0, 300),
    code: 'truncated',
    message: /ends at byte 300, inside a header/,
  },
  {
    name: 'a body cut short',
    archive: memberBytes({ path: 'cut', body: 'x'.repeat(600) }).subarray(0, 1000),
    code: 'truncated',
    message: /inside member "cut"/,
  },
  {
    name: 'a lone block of zeros',
    archive: Buffer.concat([Buffer.alloc(512), tarOf({ path: 'f' })]),
    code: 'invalid-tar',
    message: /header at byte 0: a block of zeros/,
  },
  {
    name: 'a size that is no number',
    archive: tarOf({ path: 'f', raw: [{ at: 124, bytes: '12x45' }] }),
    code: 'invalid-tar',
    message: /member "f": field size is "12x45/,
  },
  {
    name: 'a negative size',
    archive: tarOf({ path: 'f', size: -1 }),
    code: 'invalid-tar',
    message: /member "f": size -1 is negative/,
  },
  {
    name: 'a size beyond 2^53',
    archive: tarOf({ path: 'f', raw: [{ at: 124, bytes: Buffer.alloc(12, 0xbf) }] }),
    code: 'invalid-tar',
    message: /member "f": field size .* below 2\^53/,
  },
  {
    name: 'a pax size beyond 2^53',
    archive: tarOf({ path: 'f', pax: { size: '99999999999999999999' } }),
    code: 'invalid-tar',
    message: /member "f": record size/,
  },
  {
    name: 'a type that nobody knows',
    archive: tarOf({ path: 'volume', type: 'V' }),
    code: 'invalid-tar',
    message: /member "volume": type "V" is not known/,
  },
  {
    name: 'a path over the limit',
    archive: tarOf({ path: 'f', pax: { path: 'd/'.repeat(3000) } }),
    code: 'limit-exceeded',
    message: /6000 bytes of path, the limit is 4096/,
  },
  {
    name: 'a link target over the limit',
    archive: tarOf({ path: 'f', type: '2', pax: { linkpath: 't'.repeat(4096) } }),
    code: 'limit-exceeded',
    message: /member "f", link target: 4096 bytes of path, the limit is 4095/,
  },
  {
    name: 'a link without a target',
    archive: tarOf({ path: 'l', type: '2' }),
    code: 'invalid-tar',
    message: /member "l": a link without a target/,
  },
  {
    name: 'a NUL in a pax path',
    archive: tarOf({ path: 'f', pax: { path: 'a\0b' } }),
    code: 'invalid-tar',
    message: /member "a\\x00b": a NUL in the path/,
  },
  {
    name: 'an extended header over the limit',
    archive: tarOf({ path: 'f', pax: { comment: 'c'.repeat(2 ** 20) } }),
    code: 'limit-exceeded',
    message: /extended header "PaxHeader": .* the limit is 1048576/,
  },
  {
    name: 'an extended header cut short',
    archive: paxHeader([['path', 'p'.repeat(2000)]]).subarray(0, 1024),
    code: 'truncated',
    message: /inside extended header "PaxHeader"/,
  },
  {
    name: 'a pax record longer than its header',
    archive: Buffer.concat([
      memberBytes({ path: 'PaxHeader', type: 'x', body: '99 path=x\n' }),
      tarOf(),
    ]),
    code: 'invalid-tar',
    message: /extended header "PaxHeader": the record at "99 path=x\\x0a" has a wrong length/,
  },
  {
    name: 'a pax key with a NUL',
    archive: tarOf({ path: 'f', pax: [['pa\0th', 'x']] }),
    code: 'invalid-tar',
    message: /the key at ".*" has a NUL/,
  },
  {
    name: 'a pax record without a key',
    archive: Buffer.concat([
      memberBytes({ path: 'PaxHeader', type: 'x', body: '5 =x\n' }),
      tarOf(),
    ]),
    code: 'invalid-tar',
    message: /has no key/,
  },
  {
    name: 'a pax record of length 0',
    archive: Buffer.concat([
      memberBytes({ path: 'PaxHeader', type: 'x', body: '0 a=b\n' }),
      tarOf(),
    ]),
    code: 'invalid-tar',
    message: /has a wrong length/,
  },
  {
    name: 'a pax time that is none',
    archive: tarOf({ path: 'f', pax: { mtime: 'noon' } }),
    code: 'invalid-tar',
    message: /member "f": record mtime is "noon"/,
  },
  {
    name: 'an attribute name over the limit',
    archive: tarOf({ path: 'f', xattrs: { [`user.${'n'.repeat(255)}`]: '' } }),
    code: 'limit-exceeded',
    message: /260 bytes, the limit is 255/,
  },
  {
    name: 'an attribute value over the limit',
    archive: tarOf({ path: 'f', xattrs: { 'user.v': 'v'.repeat(65_537) } }),
    code: 'limit-exceeded',
    message: /user\.v has 65537 bytes, the limit is 65536/,
  },
  {
    name: 'sparse runs out of order',
    archive: tarOf({
      path: 'f',
      body: 'ab',
      pax: { 'GNU.sparse.map': '10,1,5,1', 'GNU.sparse.size': '20' },
    }),
    code: 'invalid-tar',
    message: /member "f": sparse run 5\+1 is out of order/,
  },
  {
    name: 'a sparse run beyond the file',
    archive: tarOf({
      path: 'f',
      body: 'ab',
      pax: { 'GNU.sparse.map': '19,2', 'GNU.sparse.size': '20' },
    }),
    code: 'invalid-tar',
    message: /sparse run 19\+2 is out of order or beyond the file's 20 bytes/,
  },
  {
    name: 'sparse runs that are not what the archive holds',
    archive: tarOf({
      path: 'f',
      body: 'abc',
      pax: { 'GNU.sparse.map': '0,2', 'GNU.sparse.size': '20' },
    }),
    code: 'invalid-tar',
    message: /the sparse runs have 2 bytes, the archive holds 3/,
  },
  {
    name: 'a sparse map that never ends',
    archive: tarOf({
      path: 'f',
      body: Buffer.concat([Buffer.from('1000\n'), Buffer.from('1\n'.repeat(300))]),
      pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' },
    }),
    code: 'invalid-tar',
    message: /member "f": the sparse map is longer than the member/,
  },
  {
    name: 'a sparse map with too many runs',
    archive: tarOf({
      path: 'f',
      body: Buffer.alloc(512, '1000001\n'),
      pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' },
    }),
    code: 'limit-exceeded',
    message: /member "f": more than 1000000 sparse runs/,
  },
  {
    name: 'a sparse format of the future',
    archive: tarOf({ path: 'f', pax: { 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' } }),
    code: 'invalid-tar',
    message: /sparse format 2\.0 is not known/,
  },
  {
    name: 'an old sparse map cut short',
    archive: memberBytes({ ...oldSparse, raw: [{ at: 482, bytes: '\x01' }] }),
    code: 'truncated',
    message: /inside member "holes"/,
  },
]

describe('readTar on hostile archives', () => {
  for (const { name, archive, code, message } of CASES) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(
        async () => {
          for await (const member of readTar(chunksOf(archive))) {
            for await (const chunk of member.body) assert.ok(chunk.length > 0)
          }
        },
        { name: 'IndexFormatError', code, message },
      )
    })
  }
})
