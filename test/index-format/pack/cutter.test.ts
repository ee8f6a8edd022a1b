import assert from 'node:assert/strict'
import { digestOf } from '../../../index-format/index.js'
import { Cutter, gearTable } from '../../../index-format/pack/cutter.js'
import { Random } from './random.js'

const KIB = 1024
const MIB = KIB * KIB

describe('Cutter', () => {
  const cutter = new Cutter()
  const content = new Random(21).bytes(24 * MIB)

  /** Cuts `bytes` into pieces. Returns their digests. */
  function pieces(bytes: Uint8Array): string[] {
    const found: string[] = []
    for (let at = 0; at < bytes.length;) {
      const length = cutter.cut(bytes, at, bytes.length)
      found.push(digestOf(bytes.subarray(at, at + length)))
      at += length
    }
    return found
  }

  it('uses the published table', () => {
    const table = gearTable()
    assert.equal(table.byteLength, 1024)
    assert.equal(
      digestOf(new Uint8Array(table.buffer)),
      'sha256:b9b585963d279e7051a751bb8a80a0d159ccc0bb1b02e26ce90e92cafc616abb',
    )
  })

  it('cuts where it always did', () => {
    const lengths: number[] = []
    for (let at = 0; at < 8 * MIB;) {
      const length = cutter.cut(content, at, content.length)
      lengths.push(length)
      at += length
    }
    assert.deepEqual(lengths, [1059765, 1364450, 1179172, 1518137, 1103223, 1165831, 1638530])
  })

  it('keeps to its bounds', () => {
    for (let at = 0; at < content.length;) {
      const length = cutter.cut(content, at, content.length)
      assert.ok(length <= 4 * MIB)
      assert.ok(length >= 256 * KIB || at + length === content.length)
      at += length
    }
    assert.equal(cutter.cut(content, 0, 0), 0)
    assert.equal(cutter.cut(content, 5, 6), 1)
    assert.equal(cutter.cut(Buffer.alloc(9 * MIB, 7), 0, 9 * MIB), 4 * MIB)
  })

  it('cuts the same bytes the same wherever they stand', () => {
    const shifted = Buffer.concat([Buffer.alloc(12_345), content])
    for (const at of [0, 3 * MIB, 10 * MIB + 17]) {
      const expected = cutter.cut(content, at, content.length)
      assert.equal(cutter.cut(shifted, at + 12_345, shifted.length), expected)
      assert.equal(cutter.cut(content, at, at + 4 * MIB), expected)
    }
  })

  it('finds most pieces again after an insertion, a removal and a change', () => {
    const before = new Set(pieces(content))
    const edits = [
      Buffer.concat([content.subarray(0, 5 * MIB), Buffer.from('new'), content.subarray(5 * MIB)]),
      Buffer.concat([content.subarray(0, 9 * MIB), content.subarray(9 * MIB + 1000)]),
      Buffer.concat([Buffer.from('a longer beginning'), content]),
    ]
    for (const edited of edits) {
      const after = pieces(edited)
      const again = after.filter((digest) => before.has(digest))
      assert.ok(again.length >= after.length - 4, `${again.length} of ${after.length} found again`)
    }
  })
})
