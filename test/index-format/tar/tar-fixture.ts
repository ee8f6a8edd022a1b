/**
 * Writes tar archives byte by byte, so that tests can make archives that no tar program would
 * write. Every header field can be set to raw bytes. The checksum is right, unless `damage` changes
 * the header afterwards.
 */

const BLOCK = 512

export interface FixtureMember {
  readonly path: string | Uint8Array
  /** Default: '0', or '5' when the path ends in a slash. */
  readonly type?: string
  readonly body?: Uint8Array | string
  /** Value of the size field; default: the body's length. */
  readonly size?: number
  readonly link?: string | Uint8Array
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly devMajor?: number
  readonly devMinor?: number
  readonly prefix?: string
  /** Magic and version, 8 bytes; default ustar's. */
  readonly magic?: string
  /** Records of a pax header, which is put before the member. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>> | readonly PaxRecord[]
  /** Extended attributes, written as `SCHILY.xattr.` records. */
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>
  /** Bytes written over the header at these offsets, before the checksum is computed. */
  readonly raw?: readonly { readonly at: number; readonly bytes: string | Uint8Array }[]
  /** Bytes written over the header at these offsets, after the checksum is computed. */
  readonly damage?: readonly { readonly at: number; readonly bytes: string | Uint8Array }[]
}

export type PaxRecord = readonly [key: string, value: string | Uint8Array]

/** An archive of these members and the end blocks. */
export function tarOf(...members: readonly FixtureMember[]): Buffer {
  return Buffer.concat([...members.map(memberBytes), Buffer.alloc(2 * BLOCK)])
}

/** One member with its extended header, body and padding. */
export function memberBytes(member: FixtureMember): Buffer {
  const records: PaxRecord[] = [
    ...(isRecordList(member.pax) ? member.pax : Object.entries(member.pax ?? {})),
    ...Object.entries(member.xattrs ?? {}).map(([key, value]): PaxRecord => [
      `SCHILY.xattr.${key}`,
      value,
    ]),
  ]
  const body = bytesOf(member.body ?? '')
  const own = Buffer.concat([header(member, body.length), padded(body)])
  return records.length === 0 ? own : Buffer.concat([paxHeader(records), own])
}

/** A pax header (`x`, or `g` for a global one) with these records. */
export function paxHeader(records: readonly PaxRecord[], type = 'x'): Buffer {
  const body = Buffer.concat(records.map(paxRecord))
  return memberBytes({ path: 'PaxHeader', type, body })
}

/** Yields an archive in chunks of `chunkBytes`, as a reader takes it. */
export async function* chunksOf(
  bytes: Uint8Array,
  chunkBytes = 65_536,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await Promise.resolve()
    yield bytes.subarray(at, at + chunkBytes)
  }
}

export function bytesOf(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value)
}

function header(member: FixtureMember, bodyBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  const path = bytesOf(member.path)
  const type = member.type ?? (path.at(-1) === 0x2f ? '5' : '0')
  path.copy(block, 0, 0, 100)
  octal(block, 100, 8, member.mode ?? (type === '5' ? 0o755 : 0o644))
  octal(block, 108, 8, member.uid ?? 0)
  octal(block, 116, 8, member.gid ?? 0)
  octal(block, 124, 12, member.size ?? bodyBytes)
  octal(block, 136, 12, member.mtime ?? 0)
  block.write(type, 156, 'latin1')
  bytesOf(member.link ?? '').copy(block, 157, 0, 100)
  block.write(member.magic ?? 'ustar\x0000', 257, 'latin1')
  octal(block, 329, 8, member.devMajor ?? 0)
  octal(block, 337, 8, member.devMinor ?? 0)
  block.write(member.prefix ?? '', 345, 'latin1')
  for (const { at, bytes } of member.raw ?? []) bytesOf(bytes).copy(block, at)
  block.write('        ', 148, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  for (const { at, bytes } of member.damage ?? []) bytesOf(bytes).copy(block, at)
  return block
}

/** Writes a number in octal if it fits, else in base-256, as GNU tar does. */
function octal(block: Buffer, at: number, length: number, value: number): void {
  if (value >= 0 && value < 8 ** (length - 1)) {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
    return
  }
  let rest = BigInt.asUintN(length * 8, BigInt(value))
  for (let i = length - 1; i >= 0; i--) {
    block[at + i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  block[at] = (block[at] ?? 0) | 0x80
}

function paxRecord([key, value]: PaxRecord): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), bytesOf(value), Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length++
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function padded(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)])
}

function isRecordList(pax: FixtureMember['pax']): pax is readonly PaxRecord[] {
  return Array.isArray(pax)
}
