/**
 * Tests that layers that must not be unpacked are refused with the right code, and with a message
 * that names the member and the limit.
 */
import assert from 'node:assert/strict'
import type { IndexFormatErrorCode } from '../../../index-format/index.js'
import type { FixtureMember } from '../tar/tar-fixture.js'
import { dumpLayer } from './built-layer.js'

interface HostileCase {
  readonly name: string
  readonly members: readonly FixtureMember[]
  readonly code: IndexFormatErrorCode
  readonly message: RegExp
}

const CASES: readonly HostileCase[] = [
  {
    name: 'a name that climbs out',
    members: [{ path: '../etc/passwd' }],
    code: 'invalid-layer',
    message: /member "\.\.\/etc\/passwd": .* leads out of the layer/,
  },
  {
    name: 'a name that climbs out on the way',
    members: [{ path: 'a/../../b' }],
    code: 'invalid-layer',
    message: /member "a\/\.\.\/\.\.\/b": .* leads out of the layer/,
  },
  {
    name: 'an absolute name',
    members: [{ path: '/etc/passwd' }],
    code: 'invalid-layer',
    message: /member "\/etc\/passwd": .* is an absolute name/,
  },
  {
    name: 'a hard link to an absolute name',
    members: [{ path: 'h', type: '1', link: '/etc/shadow' }],
    code: 'invalid-layer',
    message: /member "h", hard link target: "\/etc\/shadow" is an absolute name/,
  },
  {
    name: 'a hard link out of the layer',
    members: [{ path: 'h', type: '1', link: '../../etc/shadow' }],
    code: 'invalid-layer',
    message: /member "h", hard link target: "\.\.\/\.\.\/etc\/shadow" leads out of the layer/,
  },
  {
    name: 'a hard link to what the layer does not have',
    members: [{ path: 'h', type: '1', link: 'etc/shadow' }],
    code: 'invalid-layer',
    message: /member "h": a hard link to "etc\/shadow", which the layer does not have/,
  },
  {
    name: 'a hard link to itself',
    members: [{ path: 'h', type: '1', link: 'h' }],
    code: 'invalid-layer',
    message: /member "h": a hard link to "h", which leads back to itself/,
  },
  {
    name: 'hard links in a circle',
    members: [
      { path: 'a', type: '1', link: 'b' },
      { path: 'b', type: '1', link: 'a' },
    ],
    code: 'invalid-layer',
    message: /leads back to itself/,
  },
  {
    name: 'a hard link to a directory',
    members: [{ path: 'd/' }, { path: 'h', type: '1', link: 'd' }],
    code: 'invalid-layer',
    message: /member "h": a hard link to the directory "d"/,
  },
  {
    name: 'a hard link to a directory that comes later',
    members: [{ path: 'h', type: '1', link: 'd' }, { path: 'd/' }],
    code: 'invalid-layer',
    message: /member "h": a hard link to "d", which is a directory/,
  },
  {
    name: 'a hard link to the root',
    members: [{ path: 'h', type: '1', link: './' }],
    code: 'invalid-layer',
    message: /member "h": a hard link to the root directory/,
  },
  {
    name: 'a member below a symlink that leads to itself',
    members: [{ path: 'loop', type: '2', link: 'loop' }, { path: 'loop/f' }],
    code: 'invalid-layer',
    message: /member "loop\/f": more than 255 symbolic links on the way/,
  },
  {
    name: 'symlinks whose targets begin with symlinks, deeper than any path',
    members: [
      ...Array.from({ length: 40 }, (_, i) => ({
        path: `l${i}`,
        type: '2',
        link: 'l',
        pax: { linkpath: i === 0 ? 'd/'.repeat(1000) : `l${i - 1}/${'d/'.repeat(1000)}` },
      })),
      { path: 'l39/f' },
    ],
    code: 'limit-exceeded',
    message: /member "l39\/f": .* the limit is 4096|directories deep/,
  },
  {
    name: 'a member below a file',
    members: [{ path: 'f' }, { path: 'f/g' }],
    code: 'invalid-layer',
    message: /member "f\/g": its parent "f" is no directory in this layer/,
  },
  {
    name: 'a name over the limit',
    members: [{ path: 'f', pax: { path: `d/${'n'.repeat(256)}` } }],
    code: 'limit-exceeded',
    message: /the name "n+\.\.\. \(256 bytes\)" has 256 bytes, the limit is 255/,
  },
  {
    name: 'a whiteout of nothing',
    members: [{ path: 'd/.wh.' }],
    code: 'invalid-layer',
    message: /member "d\/\.wh\.": a whiteout without a name/,
  },
  {
    name: 'a whiteout of the directory above',
    members: [{ path: 'd/.wh...' }],
    code: 'invalid-layer',
    message: /a whiteout without a name/,
  },
  {
    name: 'a device number over the limit',
    members: [{ path: 'dev', type: '3', devMajor: 4096 }],
    code: 'limit-exceeded',
    message: /member "dev": device 4096:0; the limits are 4095:1048575/,
  },
  {
    name: 'capabilities of a wrong size',
    members: [{ path: 'f', xattrs: { 'security.capability': 'short' } }],
    code: 'invalid-layer',
    message: /member "f": extended attribute security\.capability: 5 bytes/,
  },
  {
    name: 'an access control list that is none',
    members: [
      { path: 'f', xattrs: { 'system.posix_acl_access': Buffer.from('020000000100', 'hex') } },
    ],
    code: 'invalid-layer',
    message: /system\.posix_acl_access: not a valid access control list/,
  },
  {
    name: 'more attributes than the limit',
    members: [
      {
        path: 'f',
        xattrs: Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`user.${i}`, ''])),
      },
    ],
    code: 'limit-exceeded',
    message: /member "f": 1025 extended attributes/,
  },
]

describe('LayerBuilder on hostile layers', () => {
  for (const { name, members, code, message } of CASES) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(dumpLayer(...members), { name: 'IndexFormatError', code, message })
    })
  }

  it('keeps what is written through symlinks inside the layer', async () => {
    const dump = await dumpLayer(
      { path: 'out', type: '2', link: '../../../../etc' },
      { path: 'out/passwd', body: 'contained' },
    )
    assert.deepEqual(Object.keys(dump), ['.', 'etc', 'etc/passwd', 'out'])
  })

  it('takes a chain of 5,000 hard links before their target in one go', async () => {
    const count = 5_000
    const members = Array.from({ length: count }, (_, i) => ({
      path: `l${i}`,
      type: '1',
      link: i + 1 === count ? 'target' : `l${i + 1}`,
    }))
    const dump = await dumpLayer(...members, { path: 'target', body: 't' })
    assert.equal(dump['l0']?.nlink, count + 1)
  })
})
