/**
 * Looks at a filesystem by sending requests to its handler, as the kernel would. It needs no mount
 * and no thread.
 */
import { constants } from 'node:os'
import type { RequestHandler } from '../../../fusefs/transport/request-handler.js'
import { OPCODES } from '../../../fusefs/wire/opcodes.js'
import { OUT_HEADER_BYTES, Reply } from '../../../fusefs/wire/reply.js'
import { Request } from '../../../fusefs/wire/request.js'
import { nameBody, putRequest, readBody, xattrBody } from '../transport/request-bytes.js'
import type { Seen, Viewer } from './viewer.js'

const DIRENTPLUS_BYTES = 152
const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno, name]))

export class HandlerViewer implements Viewer {
  readonly #handler: RequestHandler
  readonly #rootNodeId: number

  /** `rootNodeId` is the node of the directory from which paths are resolved. */
  constructor(handler: RequestHandler, rootNodeId: number) {
    this.#handler = handler
    this.#rootNodeId = rootNodeId
  }

  async lstat(path: string): Promise<Seen> {
    const nodeId = await this.#walk(path)
    const reply = this.#ask(OPCODES.GETATTR, nodeId, Buffer.alloc(16))
    return Promise.resolve(seenFromAttr(reply.subarray(16)))
  }

  async readlink(path: string): Promise<string> {
    const reply = this.#ask(OPCODES.READLINK, await this.#walk(path), Buffer.alloc(0))
    return reply.toString('latin1')
  }

  async list(path: string): Promise<string[]> {
    const nodeId = await this.#walk(path)
    const names: string[] = []
    let offset = 0
    for (;;) {
      const reply = this.#ask(OPCODES.READDIRPLUS, nodeId, readBody(offset, 4096))
      if (reply.length === 0) return names
      for (let at = 0; at < reply.length;) {
        const length = reply.readUInt32LE(at + 144)
        const name = reply.toString('latin1', at + DIRENTPLUS_BYTES, at + DIRENTPLUS_BYTES + length)
        offset = Number(reply.readBigUInt64LE(at + 136))
        if (name !== '.' && name !== '..') names.push(name)
        at += (DIRENTPLUS_BYTES + length + 7) & ~7
      }
    }
  }

  async read(path: string, offset: number, length: number): Promise<Buffer> {
    const nodeId = await this.#walk(path)
    const parts: Buffer[] = []
    for (let at = offset; at < offset + length;) {
      const size = Math.min(1_048_576, offset + length - at)
      const part = this.#ask(OPCODES.READ, nodeId, readBody(at, size))
      parts.push(part)
      if (part.length < size) break
      at += size
    }
    return Buffer.concat(parts)
  }

  async xattr(path: string, name: string): Promise<Buffer> {
    const nodeId = await this.#walk(path)
    const size = this.#ask(OPCODES.GETXATTR, nodeId, xattrBody(0, name)).readUInt32LE(0)
    return this.#ask(OPCODES.GETXATTR, nodeId, xattrBody(size, name))
  }

  async xattrNames(path: string): Promise<string[]> {
    const nodeId = await this.#walk(path)
    const names = this.#ask(OPCODES.LISTXATTR, nodeId, xattrBody(65_536)).toString('latin1')
    return names === '' ? [] : names.slice(0, -1).split('\0')
  }

  #walk(path: string): Promise<number> {
    let nodeId = this.#rootNodeId
    for (const name of path === '' ? [] : path.split('/')) {
      const entry = this.#ask(OPCODES.LOOKUP, nodeId, nameBody(name))
      nodeId = Number(entry.readBigUInt64LE(0))
      if (nodeId === 0) throw errnoError(constants.errno.ENOENT)
    }
    return Promise.resolve(nodeId)
  }

  #ask(opcode: number, nodeId: number, body: Uint8Array): Buffer {
    const request = new Request()
    const reply = new Reply(1_048_576)
    putRequest(request, { opcode, nodeId }, body)
    const outcome = this.#handler.handle(request, reply)
    if (outcome !== 'reply') throw new Error(`the handler's outcome is ${outcome}`)
    if (reply.error !== 0) throw errnoError(-reply.error)
    return Buffer.from(reply.buffer.subarray(OUT_HEADER_BYTES, reply.lengthBytes))
  }
}

function errnoError(errno: number): Error {
  const code = ERRNO_NAMES.get(errno) ?? String(errno)
  return Object.assign(new Error(code), { code })
}

function seenFromAttr(attr: Buffer): Seen {
  const seconds = attr.readBigInt64LE(32)
  return {
    ino: Number(attr.readBigUInt64LE(0)),
    size: Number(attr.readBigUInt64LE(8)),
    blocks: Number(attr.readBigUInt64LE(16)),
    mtimeNs: seconds * 1_000_000_000n + BigInt(attr.readUInt32LE(52)),
    mode: attr.readUInt32LE(60),
    nlink: attr.readUInt32LE(64),
    uid: attr.readUInt32LE(68),
    gid: attr.readUInt32LE(72),
    rdev: attr.readUInt32LE(76),
  }
}
