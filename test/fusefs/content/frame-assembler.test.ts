import assert from 'node:assert/strict'
import { FrameAssembler } from '../../../fusefs/content/fetch/frame-assembler.js'
import { noise } from './pack-fixture.js'

const stream = noise(10_000, 3)

describe('FrameAssembler', () => {
  for (const pieceBytes of [1, 7, 1000, 4096, 10_000]) {
    it(`cuts out the wanted frames, and drops what is between, from pieces of ${pieceBytes} bytes`, () => {
      const wanted = [
        { offset: 0, sizeBytes: 10, tag: 'first' },
        { offset: 10, sizeBytes: 3000, tag: 'adjoining' },
        { offset: 5000, sizeBytes: 1, tag: 'after a gap' },
        { offset: 5001, sizeBytes: 4999, tag: 'last' },
      ]
      const assembler = new FrameAssembler(wanted)
      const found: [string, Buffer][] = []
      for (let at = 0; at < stream.length; at += pieceBytes) {
        for (const { tag, compressed } of assembler.push(stream.subarray(at, at + pieceBytes))) {
          found.push([tag, Buffer.from(compressed)])
        }
      }
      assert.deepEqual(
        found,
        wanted.map(({ offset, sizeBytes, tag }) => [
          tag,
          Buffer.from(stream.subarray(offset, offset + sizeBytes)),
        ]),
      )
    })
  }

  it('hands a frame over with the piece that completes it, and not again', () => {
    const assembler = new FrameAssembler([{ offset: 2, sizeBytes: 4, tag: 0 }])
    assert.equal(assembler.push(stream.subarray(0, 5)).length, 0)
    assert.equal(assembler.push(stream.subarray(5, 6)).length, 1)
    assert.equal(assembler.push(stream.subarray(6, 100)).length, 0)
  })
})
