import assert from 'node:assert/strict'
import { digestOf } from '../../../../index-format/index.js'
import { verifiedStream } from '../../../../snapshotter/images/registry/verified-stream.js'

describe('verifiedStream', () => {
  const bytes = Buffer.from('what was asked for')
  const expected = { digest: digestOf(bytes), sizeBytes: bytes.length }

  async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
    await Promise.resolve()
    for (let i = 0; i < content.length; i += 5) yield content.subarray(i, i + 5)
  }
  async function read(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for await (const piece of verifiedStream(content, expected, 'the blob')) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  it('passes the expected bytes on', async () => {
    assert.ok((await read(inPieces(bytes))).equals(bytes))
  })

  const wrong: [string, Buffer, RegExp][] = [
    ['too many bytes', Buffer.concat([bytes, bytes]), /^the blob: expected 18 bytes .* found more/],
    ['too few bytes', bytes.subarray(1), /^the blob: expected 18 bytes .* found 17 with digest/],
    [
      'other bytes',
      Buffer.from('WHAT was asked for'),
      /^the blob: .* found 18 with digest sha256:/,
    ],
  ]
  for (const [name, content, message] of wrong) {
    it(`ends with invalid-content where there are ${name}`, async () => {
      await assert.rejects(read(inPieces(content)), { code: 'invalid-content', message })
    })
  }

  it('hands on no byte beyond the expected size', async () => {
    let handedOn = 0
    const reading = async (): Promise<void> => {
      const content = inPieces(Buffer.alloc(1000))
      for await (const piece of verifiedStream(content, expected, 'the blob')) {
        handedOn += piece.length
      }
    }
    await assert.rejects(reading(), { code: 'invalid-content' })
    assert.equal(handedOn, 15)
  })

  it('lets errors of the bytes pass', async () => {
    const failure = new Error('the disk is gone')
    async function* failing(): AsyncGenerator<Uint8Array> {
      await Promise.resolve()
      yield bytes.subarray(0, 5)
      throw failure
    }
    await assert.rejects(read(failing()), failure)
  })
})
