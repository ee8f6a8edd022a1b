import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Filesystem } from '../../../fusefs/filesystem/filesystem.js'
import { nodeIdOf } from '../../../fusefs/filesystem/node-id.js'
import { RequestHandler } from '../../../fusefs/transport/request-handler.js'
import { RegisteredTrees } from '../../../fusefs/trees/registered-trees.js'
import { TreeRegistry } from '../../../fusefs/trees/tree-registry.js'
import { OPCODES } from '../../../fusefs/wire/opcodes.js'
import { Reply } from '../../../fusefs/wire/reply.js'
import { Request } from '../../../fusefs/wire/request.js'
import { Index, ROOT_INO, writeIndex } from '../../../index-format/index.js'
import { nameBody, putRequest, readBody, seekBody, xattrBody } from '../transport/request-bytes.js'
import { filesystemSuite } from './filesystem-suite.js'
import { HandlerViewer } from './handler-viewer.js'
import { SPARSE_FILE, SPARSE_HEAD, XATTR_MEMBERS } from './sample-members.js'
import { SampleTree } from './sample-tree.js'

describe('Filesystem behind its request handler', () => {
  const sample = new SampleTree(XATTR_MEMBERS)
  const changes = new SharedArrayBuffer(4)
  const faults: unknown[] = []
  let dir: string
  let registry: TreeRegistry
  let trees: RegisteredTrees
  let handler: RequestHandler
  let slot: number
  let isLocal = true

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'thin-filesystem-'))
    registry = TreeRegistry.open({ dir })
    const path = join(dir, 'index')
    const { digest } = writeIndex(sample, { path, kind: 'layer', packs: [sample.pack.table] })
    ;({ slot } = registry.register({ indexDigest: digest, class: 'xattr', stores: [] }))
    trees = new RegisteredTrees(
      { class: 'xattr', changes },
      { registry: TreeRegistry.open({ dir, readonly: true }), openIndex: () => Index.open(path) },
    )
    handler = new RequestHandler(
      { class: 'xattr' },
      {
        filesystem: new Filesystem({ root: 'trees' }, { trees }),
        content: {
          tryRead: (_slot, _pack, target, rawOffset) => {
            target.set(sample.pack.raw.subarray(rawOffset, rawOffset + target.length))
            return isLocal
          },
        },
        onFault: (error) => faults.push(error),
      },
    )
  })

  after(() => {
    trees.close()
    registry.close()
    rmSync(dir, { recursive: true })
  })

  filesystemSuite({ viewer: () => new HandlerViewer(handler, nodeIdOf(slot, ROOT_INO)) })

  /**
   * Sends one request to the handler. Returns the payload of the reply, or its errno if it is an
   * error.
   */
  function ask(opcode: number, nodeId: number, body: Uint8Array): number | Buffer {
    const request = new Request()
    const reply = new Reply(1_048_576)
    putRequest(request, { opcode, nodeId }, body)
    assert.equal(handler.handle(request, reply), 'reply')
    const payload = Buffer.from(reply.buffer.subarray(16, reply.lengthBytes))
    return reply.error === 0 ? payload : -reply.error
  }

  function inoOf(name: string): number {
    return sample.lookup(ROOT_INO, Buffer.from(name, 'latin1')) ?? 0
  }

  function nodeOf(name: string): number {
    const entry = ask(OPCODES.LOOKUP, nodeIdOf(slot, ROOT_INO), nameBody(name))
    assert.ok(Buffer.isBuffer(entry))
    return Number(entry.readBigUInt64LE(0))
  }

  it('computes node ids from slot and inode number', () => {
    assert.ok(inoOf('big') > 1)
    assert.equal(nodeOf('big'), slot * 2 ** 32 + inoOf('big'))
  })

  it('lets the kernel remember what is not in a tree, but not what is not in the list of trees', () => {
    const inTree = ask(OPCODES.LOOKUP, nodeIdOf(slot, ROOT_INO), nameBody('nothing'))
    assert.ok(Buffer.isBuffer(inTree))
    assert.equal(inTree.readBigUInt64LE(0), 0n)
    assert.ok(inTree.readBigUInt64LE(16) > 86_400n)
    assert.equal(ask(OPCODES.LOOKUP, 1, nameBody('zz')), 2)
    assert.equal(ask(OPCODES.LOOKUP, 1, nameBody('01')), 2)
  })

  it('answers "." of any node, which is how file handles are decoded', () => {
    const node = nodeOf('big')
    const entry = ask(OPCODES.LOOKUP, node, nameBody('.'))
    assert.ok(Buffer.isBuffer(entry))
    assert.equal(Number(entry.readBigUInt64LE(0)), node)
  })

  it('answers ESTALE for trees and inodes that are not there', () => {
    assert.equal(ask(OPCODES.GETATTR, nodeIdOf(slot, 4_000_000), Buffer.alloc(16)), 116)
    assert.equal(ask(OPCODES.GETATTR, nodeIdOf(77, 1), Buffer.alloc(16)), 116)
    assert.equal(ask(OPCODES.READ, nodeIdOf(77, 5), readBody(0, 10)), 116)
  })

  it('answers what makes no sense for a node with the errno of that', () => {
    assert.equal(ask(OPCODES.READ, nodeOf('etc'), readBody(0, 10)), 21)
    assert.equal(ask(OPCODES.READDIR, nodeOf('big'), readBody(0, 4096)), 20)
    assert.equal(ask(OPCODES.LOOKUP, nodeOf('big'), nameBody('x')), 20)
    assert.equal(ask(OPCODES.READLINK, nodeOf('big'), Buffer.alloc(0)), 22)
  })

  it('refuses changes with EROFS and unknown requests with ENOSYS', () => {
    assert.equal(ask(OPCODES.MKDIR, nodeOf('etc'), Buffer.alloc(16)), 30)
    assert.equal(ask(OPCODES.OPEN, nodeOf('big'), Buffer.alloc(8)), 38)
    assert.equal(ask(4711, nodeOf('big'), Buffer.alloc(8)), 38)
  })

  it('answers ERANGE to a buffer that is too small for an attribute', () => {
    const node = nodeOf('ping')
    assert.equal(ask(OPCODES.GETXATTR, node, xattrBody(5, 'security.capability')), 34)
    assert.equal(ask(OPCODES.LISTXATTR, node, xattrBody(5)), 34)
  })

  it('seeks data and holes', () => {
    const node = nodeOf('sparse')
    const seek = (offset: number, whence: number): number => {
      const found = ask(OPCODES.LSEEK, node, seekBody(offset, whence))
      return Buffer.isBuffer(found) ? Number(found.readBigUInt64LE(0)) : -found
    }
    const [DATA, HOLE] = [3, 4]
    assert.equal(seek(0, DATA), 0)
    assert.equal(seek(0, HOLE), SPARSE_HEAD.length)
    assert.equal(seek(SPARSE_HEAD.length, DATA), SPARSE_HEAD.length + 1024 * 1024)
    assert.equal(seek(SPARSE_FILE.length - 1, HOLE), SPARSE_FILE.length - 1)
    assert.equal(seek(SPARSE_FILE.length - 1, DATA), -6)
    assert.equal(seek(SPARSE_FILE.length, HOLE), -6)
    assert.equal(seek(0, 0), -22)
  })

  it('goes on in a listing from any offset', () => {
    const many = nodeOf('many')
    const from = (offset: number): number => {
      const reply = ask(OPCODES.READDIR, many, readBody(offset, 4096))
      assert.ok(Buffer.isBuffer(reply))
      return reply.length === 0 ? -1 : Number(reply.readBigUInt64LE(8))
    }
    assert.deepEqual([0, 1, 2, 5000, 10_001, 10_002].map(from), [1, 2, 3, 5001, 10_002, -1])
  })

  it('says that a read is a miss when content is not local', () => {
    isLocal = false
    const request = new Request()
    const big = nodeOf('big')
    const hole = nodeOf('hole')
    putRequest(request, { opcode: OPCODES.READ, nodeId: big }, readBody(0, 4096))
    assert.equal(handler.handle(request, new Reply(4096)), 'miss')
    assert.ok(Buffer.isBuffer(ask(OPCODES.READ, hole, readBody(0, 4096))))
    isLocal = true
  })

  it('answers EINVAL to a request that ends before its fields, and reports it', () => {
    faults.length = 0
    assert.equal(ask(OPCODES.READ, nodeOf('big'), Buffer.alloc(12)), 22)
    assert.equal(ask(OPCODES.LOOKUP, nodeIdOf(slot, 1), Buffer.from('no end')), 22)
    assert.equal(faults.length, 2)
  })

  it('serves a tree no longer once it was removed', () => {
    const node = nodeOf('big')
    registry.remove(slot)
    Atomics.add(new Int32Array(changes), 0, 1)
    assert.equal(ask(OPCODES.GETATTR, node, Buffer.alloc(16)), 116)
    assert.equal(ask(OPCODES.LOOKUP, 1, nameBody(slot.toString(36))), 2)
  })
})
