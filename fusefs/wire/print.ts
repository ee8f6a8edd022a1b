/** Prints a request or a reply as one line, for traces and failing tests. */
import { OPCODES, opcodeName } from './opcodes.js'
import type { Reply } from './reply.js'
import type { Request } from './request.js'

/**
 * Prints a request like `LOOKUP #12 tree 3 inode 17 "lib\xff"`. Moves the cursor of `request`: call
 * `load` again afterwards.
 */
export function printRequest(request: Request): string {
  return printRequestHeader(request) + body(request)
}

/** Prints the header of a request like `LOOKUP #12 tree 3 inode 17`. Does not read the body. */
export function printRequestHeader(request: Request): string {
  const name = opcodeName(request.opcode) ?? `opcode ${request.opcode}`
  const resent = request.uniqueHigh >>> 31 === 1 ? ' resent' : ''
  return `${name} #${request.uniqueLow}${resent} tree ${request.slot} inode ${request.ino}`
}

/** Prints a reply like `#12 ok 144 bytes` or `#12 errno 2`. */
export function printReply(request: Request, reply: Reply): string {
  const outcome = reply.error === 0 ? `ok ${reply.lengthBytes} bytes` : `errno ${-reply.error}`
  return `#${request.uniqueLow} ${outcome}`
}

function body(request: Request): string {
  switch (request.opcode) {
    case OPCODES.LOOKUP:
      return ` ${printName(request.readName())}`
    case OPCODES.READ:
    case OPCODES.READDIR:
    case OPCODES.READDIRPLUS: {
      request.skip(8)
      const offset = request.readUint53()
      return ` offset ${offset} size ${request.readUint32()}`
    }
    case OPCODES.GETXATTR: {
      const size = request.readUint32()
      request.skip(4)
      return ` ${printName(request.readName())} size ${size}`
    }
    case OPCODES.INTERRUPT:
      return ` of #${request.readUint32()}`
    default:
      return request.remaining > 0 ? ` body ${request.remaining}` : ''
  }
}

/** Bytes as a quoted string. Quotes, backslashes and non-printable bytes become `\xHH`. */
function printName(name: Uint8Array): string {
  let text = ''
  for (const byte of name) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return `"${text}"`
}
