/** Encodes requests as the kernel does, for tests without a kernel. */
import { IN_HEADER_BYTES, type Request } from '../../../fusefs/wire/request.js'

export interface Header {
  readonly opcode: number
  readonly nodeId: number
  readonly unique?: bigint
}

/** Writes a request into the buffer of `request`, as read(2) would, and loads it. */
export function putRequest(request: Request, header: Header, body: Uint8Array): void {
  const length = IN_HEADER_BYTES + body.length
  const view = new DataView(request.buffer.buffer)
  request.buffer.fill(0, 0, IN_HEADER_BYTES)
  view.setUint32(0, length, true)
  view.setUint32(4, header.opcode, true)
  view.setBigUint64(8, header.unique ?? 2n, true)
  view.setBigUint64(16, BigInt(header.nodeId), true)
  request.buffer.set(body, IN_HEADER_BYTES)
  request.load(length)
}

export function nameBody(name: string): Buffer {
  return Buffer.concat([Buffer.from(name, 'latin1'), Buffer.from([0])])
}

/** `struct fuse_read_in`. */
export function readBody(offset: number, size: number): Buffer {
  const body = Buffer.alloc(40)
  body.writeBigUInt64LE(BigInt(offset), 8)
  body.writeUInt32LE(size, 16)
  return body
}

/** `struct fuse_getxattr_in` and the name. Without a name it is the body of LISTXATTR. */
export function xattrBody(size: number, name?: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(size, 0)
  return name === undefined ? head : Buffer.concat([head, nameBody(name)])
}

/** `struct fuse_lseek_in`. */
export function seekBody(offset: number, whence: number): Buffer {
  const body = Buffer.alloc(24)
  body.writeBigUInt64LE(BigInt(offset), 8)
  body.writeUInt32LE(whence, 16)
  return body
}
