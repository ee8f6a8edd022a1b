/**
 * Notifications: messages to the kernel that do not answer a request. `unique` is 0, and the error
 * field of the header holds the code (`enum fuse_notify_code`). Never send INVAL_* from a thread
 * that still has to answer a request for the same inode: the kernel may wait for that answer.
 */
import { OUT_HEADER_BYTES } from './reply.js'

const FUSE_NOTIFY_INVAL_INODE = 2
const FUSE_NOTIFY_INVAL_ENTRY = 3
const FUSE_NOTIFY_STORE = 4
const FUSE_NOTIFY_RESEND = 7

/** Asks for all requests again that were read but not answered (protocol 7.40, HAS_RESEND). */
export function encodeNotifyResend(): Uint8Array {
  return message(FUSE_NOTIFY_RESEND, 0).bytes
}

/** Makes the kernel drop the cached attributes and the cached content or listing of a node. */
export function encodeNotifyInvalidateInode(nodeId: number): Uint8Array {
  const { bytes, view } = message(FUSE_NOTIFY_INVAL_INODE, 24)
  view.setBigUint64(OUT_HEADER_BYTES, BigInt(nodeId), true)
  return bytes
}

/**
 * The header of a message that puts `sizeBytes` bytes into the page cache of a node, from `offset`
 * on (`struct fuse_notify_store_out`). The caller writes this header and the bytes with one
 * writev(2).
 */
export function encodeNotifyStore(nodeId: number, offset: number, sizeBytes: number): Uint8Array {
  const { bytes, view } = message(FUSE_NOTIFY_STORE, 24)
  view.setUint32(0, bytes.length + sizeBytes, true)
  view.setBigUint64(OUT_HEADER_BYTES, BigInt(nodeId), true)
  view.setBigUint64(OUT_HEADER_BYTES + 8, BigInt(offset), true)
  view.setUint32(OUT_HEADER_BYTES + 16, sizeBytes, true)
  return bytes
}

/** Makes the kernel drop the cached name `name` of the directory `parentNodeId`. */
export function encodeNotifyInvalidateEntry(parentNodeId: number, name: Uint8Array): Uint8Array {
  const { bytes, view } = message(FUSE_NOTIFY_INVAL_ENTRY, 16 + name.length + 1)
  view.setBigUint64(OUT_HEADER_BYTES, BigInt(parentNodeId), true)
  view.setUint32(OUT_HEADER_BYTES + 8, name.length, true)
  bytes.set(name, OUT_HEADER_BYTES + 16)
  return bytes
}

function message(code: number, payloadBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(OUT_HEADER_BYTES + payloadBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setInt32(4, code, true)
  return { bytes, view }
}
