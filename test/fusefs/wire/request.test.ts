import assert from 'node:assert/strict'
import { OPCODES } from '../../../fusefs/wire/opcodes.js'
import { printReply, printRequest } from '../../../fusefs/wire/print.js'
import { Reply } from '../../../fusefs/wire/reply.js'
import { Request } from '../../../fusefs/wire/request.js'
import { nameBody, putRequest, readBody, xattrBody } from '../transport/request-bytes.js'

describe('Request', () => {
  const request = new Request()

  it('reads the halves of node id and number', () => {
    const header = { opcode: OPCODES.GETATTR, nodeId: 3 * 2 ** 32 + 17, unique: (1n << 63n) | 12n }
    putRequest(request, header, Buffer.alloc(0))
    assert.deepEqual([request.slot, request.ino], [3, 17])
    assert.deepEqual([request.uniqueHigh, request.uniqueLow], [0x8000_0000, 12])
  })

  it('refuses what is not a request', () => {
    putRequest(request, { opcode: 1, nodeId: 1 }, Buffer.alloc(8))
    for (const length of [0, 39, 47, 49, 1_000_000]) {
      assert.throws(
        () => {
          request.load(length)
        },
        { code: 'protocol' },
      )
    }
    new DataView(request.buffer.buffer).setUint16(36, 2, true)
    assert.throws(() => {
      request.load(48)
    }, /16 bytes of extensions/)
  })

  it('never reads behind its end, whatever the buffer held before', () => {
    putRequest(request, { opcode: OPCODES.READ, nodeId: 1 }, Buffer.alloc(40, 0xff))
    putRequest(request, { opcode: OPCODES.READ, nodeId: 1 }, Buffer.alloc(10))
    request.skip(8)
    assert.throws(() => request.readUint32(), { code: 'protocol' })
    assert.equal(request.remaining, 2)
    putRequest(request, { opcode: OPCODES.LOOKUP, nodeId: 1 }, nameBody('longer name'))
    putRequest(request, { opcode: OPCODES.LOOKUP, nodeId: 1 }, Buffer.from('longer'))
    assert.throws(() => request.readName(), /has no end/)
  })

  it('leaves extensions out of the body', () => {
    putRequest(
      request,
      { opcode: OPCODES.LOOKUP, nodeId: 1 },
      Buffer.from('ab\0\0\0\0\0\0EXTENDED'),
    )
    new DataView(request.buffer.buffer).setUint16(36, 1, true)
    request.load(56)
    assert.equal(Buffer.from(request.readName()).toString(), 'ab')
    assert.equal(request.remaining, 5)
  })

  it('refuses offsets beyond 2^53', () => {
    putRequest(request, { opcode: OPCODES.READ, nodeId: 1 }, Buffer.alloc(40, 0xff))
    assert.throws(() => request.readUint53(), { code: 'protocol' })
  })

  it('prints requests and replies as lines', () => {
    const nodeId = 2 ** 32 + 7
    const print = (opcode: number, body: Uint8Array): string => {
      putRequest(request, { opcode, nodeId, unique: 12n }, body)
      return printRequest(request)
    }
    assert.equal(
      print(OPCODES.LOOKUP, nameBody('l"\xff')),
      'LOOKUP #12 tree 1 inode 7 "l\\x22\\xff"',
    )
    const read = print(OPCODES.READ, readBody(4096, 512))
    assert.equal(read, 'READ #12 tree 1 inode 7 offset 4096 size 512')
    const xattr = print(OPCODES.GETXATTR, xattrBody(5, 'user.x'))
    assert.equal(xattr, 'GETXATTR #12 tree 1 inode 7 "user.x" size 5')
    assert.equal(print(99, Buffer.alloc(4)), 'opcode 99 #12 tree 1 inode 7 body 4')
    const reply = new Reply(64)
    reply.begin(request)
    assert.equal(printReply(request, reply), '#12 ok 16 bytes')
    reply.fail(2)
    assert.equal(printReply(request, reply), '#12 errno 2')
  })
})
