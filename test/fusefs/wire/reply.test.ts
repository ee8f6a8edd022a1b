import assert from 'node:assert/strict'
import type { Attributes } from '../../../fusefs/wire/attributes.js'
import { decodeInit, encodeInit } from '../../../fusefs/wire/init.js'
import {
  encodeNotifyInvalidateEntry,
  encodeNotifyInvalidateInode,
  encodeNotifyResend,
} from '../../../fusefs/wire/notify.js'
import { OPCODES } from '../../../fusefs/wire/opcodes.js'
import { Reply } from '../../../fusefs/wire/reply.js'
import { Request } from '../../../fusefs/wire/request.js'
import { putRequest } from '../transport/request-bytes.js'

const ATTRIBUTES: Attributes = {
  nodeId: 2 ** 32 + 5,
  mode: 0o100644,
  nlink: 2,
  uid: 1,
  gid: 4_294_967_295,
  rdev: 7,
  sizeBytes: 2 ** 40 + 3,
  blocks: 9,
  mtimeSec: -2,
  mtimeNsec: 999_999_999,
}

function replyTo(request: Request, payloadBytes = 4096): Reply {
  const reply = new Reply(payloadBytes)
  reply.begin(request)
  return reply
}

/** A request with a `struct fuse_init_in` that has these flags. */
function initRequest(minor: number, flags: bigint): Request {
  const request = new Request()
  const body = Buffer.alloc(64)
  body.writeUInt32LE(7, 0)
  body.writeUInt32LE(minor, 4)
  body.writeUInt32LE(131_072, 8)
  body.writeUInt32LE(Number(flags & 0xffff_ffffn), 12)
  body.writeUInt32LE(Number(flags >> 32n), 16)
  putRequest(request, { opcode: OPCODES.INIT, nodeId: 0 }, body)
  return request
}

describe('Reply', () => {
  const request = new Request()
  putRequest(
    request,
    { opcode: OPCODES.LOOKUP, nodeId: 1, unique: (1n << 63n) | 6n },
    Buffer.alloc(0),
  )

  it('repeats the number of the request bit by bit, and states its own length', () => {
    const reply = replyTo(request)
    reply.bytes(Buffer.from('target'))
    const head = Buffer.from(reply.buffer.subarray(0, reply.lengthBytes))
    assert.equal(head.toString('hex', 0, 16), '160000000000000006000000000000' + '80')
    assert.equal(head.toString('latin1', 16), 'target')
  })

  it('encodes an entry with times before 1970 and sizes beyond 2^32', () => {
    const reply = replyTo(request)
    reply.entry(ATTRIBUTES, { entrySec: 100, attrSec: 200 })
    const out = Buffer.from(reply.buffer.subarray(16, reply.lengthBytes))
    assert.equal(out.length, 128)
    const longs = [0, 8, 16, 24, 40, 48, 56].map((at) => out.readBigUInt64LE(at))
    const nodeId = 2n ** 32n + 5n
    assert.deepEqual(longs, [nodeId, 0n, 100n, 200n, nodeId, 2n ** 40n + 3n, 9n])
    assert.deepEqual(
      [64, 72, 80].map((at) => out.readBigInt64LE(at)),
      [-2n, -2n, -2n],
    )
    const ints = [88, 92, 96, 100, 104, 108, 112, 116, 120, 124].map((at) => out.readUInt32LE(at))
    const nsec = 999_999_999
    assert.deepEqual(ints, [nsec, nsec, nsec, 0o100644, 2, 1, 4_294_967_295, 7, 4096, 0])
  })

  it('leaves nothing of an earlier reply in a later one', () => {
    const reply = replyTo(request)
    reply.reserve(300).fill(0xff)
    reply.begin(request)
    reply.negativeEntry(5)
    const out = Buffer.from(reply.buffer.subarray(16, reply.lengthBytes))
    assert.equal(out.readBigUInt64LE(16), 5n)
    out.writeBigUInt64LE(0n, 16)
    assert.ok(out.equals(Buffer.alloc(128)))
    reply.begin(request)
    const name = Buffer.from('abc')
    assert.ok(reply.dirent({ name, nodeId: 9, mode: 0o040755, nextOffset: 3 }, 4096))
    const dirent = Buffer.from(reply.buffer.subarray(16, reply.lengthBytes)).toString('hex')
    assert.equal(
      dirent,
      '09000000000000000300000000000000' + '0300000004000000' + '6162630000000000',
    )
  })

  it('stops a listing at the limit, and before an entry that would cross it', () => {
    const reply = replyTo(request)
    const entry = { name: Buffer.from('abcdefgh'), nodeId: 9, mode: 0o100644, nextOffset: 3 }
    const validity = { entrySec: 1, attrSec: 1 }
    assert.equal(reply.dirent(entry, 31), false)
    assert.equal(reply.dirent(entry, 32), true)
    assert.equal(reply.direntPlus(entry, ATTRIBUTES, validity, 191), false)
    assert.equal(reply.lengthBytes, 48)
    assert.equal(reply.direntPlus(entry, undefined, validity, 192), true)
    assert.equal(reply.lengthBytes, 208)
    assert.ok(Buffer.alloc(128).equals(reply.buffer.subarray(48, 176)))
  })

  it('refuses to grow beyond its buffer', () => {
    assert.throws(() => replyTo(request, 64).reserve(65), RangeError)
  })
})

describe('INIT', () => {
  it('takes what both sides have, and asks for long requests', () => {
    const negotiated = decodeInit(initRequest(45, 0x5fd_73ff_fffbn))
    assert.ok(negotiated.flags.includes('HAS_RESEND'))
    assert.equal(negotiated.minor, 45)
    const reply = replyTo(initRequest(45, 0n))
    encodeInit(reply, negotiated)
    const out = Buffer.from(reply.buffer.subarray(16, reply.lengthBytes))
    assert.equal(out.length, 64)
    assert.deepEqual([out.readUInt32LE(0), out.readUInt32LE(4)], [7, 45])
    const flags = out.readUInt32LE(12)
    assert.equal((flags >>> 12) & 1, 0, 'AUTO_INVAL_DATA must not be set')
    assert.equal((flags >>> 17) & 1, 1, 'NO_OPEN_SUPPORT')
    assert.equal(out.readUInt16LE(28), 256)
    assert.equal(out.readUInt32LE(32), 1 << 7)
  })

  it('sets no high flag where the kernel has no place for it', () => {
    const flags = (1n << 17n) | (1n << 24n) | (1n << 39n)
    assert.deepEqual(decodeInit(initRequest(31, flags)).flags, [
      'NO_OPEN_SUPPORT',
      'NO_OPENDIR_SUPPORT',
    ])
  })

  it('refuses kernels that cannot do what is needed', () => {
    assert.throws(() => decodeInit(initRequest(27, 0xffff_ffffn)), /speaks FUSE 7\.27/)
    assert.throws(() => decodeInit(initRequest(31, 1n << 17n)), /lacks NO_OPENDIR_SUPPORT/)
  })
})

describe('notifications', () => {
  it('have number 0 and their code where a reply has its error', () => {
    assert.equal(
      Buffer.from(encodeNotifyResend()).toString('hex'),
      `1000000007000000${'0'.repeat(16)}`,
    )
    const inode = Buffer.from(encodeNotifyInvalidateInode(2 ** 32 + 1))
    assert.deepEqual([inode.length, inode.readInt32LE(4)], [40, 2])
    assert.equal(inode.readBigUInt64LE(16), 2n ** 32n + 1n)
    const entry = Buffer.from(encodeNotifyInvalidateEntry(1, Buffer.from('1z')))
    assert.deepEqual([entry.length, entry.readInt32LE(4), entry.readUInt32LE(24)], [35, 3, 2])
    assert.equal(entry.toString('latin1', 32), '1z\0')
  })
})
