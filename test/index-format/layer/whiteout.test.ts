import assert from 'node:assert/strict'
import { isOpaque, visibleXattrs, type Xattr } from '../../../index-format/index.js'

describe('isOpaque', () => {
  it('takes trusted.overlay.opaque with the value y, as overlayfs does', () => {
    assert.equal(isOpaque([xattr('user.a', 'y'), xattr('trusted.overlay.opaque', 'y')]), true)
  })

  for (const value of ['', 'n', 'x', 'yy', 'Y', 'y\0']) {
    it(`does not take the value ${JSON.stringify(value)}`, () => {
      assert.equal(isOpaque([xattr('trusted.overlay.opaque', value)]), false)
    })
  }

  for (const name of ['user.overlay.opaque', 'trusted.overlay.opaque2', 'trusted.overlay.opaqu']) {
    it(`does not take the name ${name}`, () => {
      assert.equal(isOpaque([xattr(name, 'y')]), false)
    })
  }
})

describe('visibleXattrs', () => {
  it('hides what overlayfs keeps for itself', () => {
    const shown = visibleXattrs([
      xattr('trusted.overlay.opaque', 'y'),
      xattr('user.a', '1'),
      xattr('user.overlay.opaque', 'y'),
    ])
    assert.deepEqual(
      shown.map(({ name }) => Buffer.from(name).toString()),
      ['user.a'],
    )
  })

  it('shows user.overlay.opaque of a directory that is not opaque', () => {
    const only = [xattr('user.overlay.opaque', 'y')]
    assert.deepEqual(visibleXattrs(only), only)
  })
})

function xattr(name: string, value: string): Xattr {
  return { name: Buffer.from(name), value: Buffer.from(value) }
}
