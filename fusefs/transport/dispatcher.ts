/**
 * The loop of a dispatcher thread: it reads a request, answers it, and reads the next. It waits for
 * nothing but the kernel. A request that has to wait for content or for an index is posted to the
 * server. A request that fails does not end the loop.
 */
import { readSync, writeSync } from 'node:fs'
import { ROOT_INO } from '../../index-format/reading.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import { ERRNO, errnoOf } from '../filesystem/errno.js'
import { ROOT_SLOT } from '../filesystem/node-id.js'
import { MAX_READ_BYTES } from '../wire/init.js'
import { OPCODES } from '../wire/opcodes.js'
import { printReply, printRequest } from '../wire/print.js'
import { OUT_HEADER_BYTES, Reply } from '../wire/reply.js'
import { Request } from '../wire/request.js'
import type { DispatcherMessage, Unique } from './dispatcher-messages.js'
import { RecordedSlots } from './recorded-slots.js'
import { type RequestHandler, readRange } from './request-handler.js'
import type { StatsRow } from './server-stats.js'

/**
 * Errnos that are healthy answers: something does not exist, an operation is not supported, or a
 * buffer is too small. They do not count as errors.
 */
const ORDINARY_ERRNOS: ReadonlySet<number> = new Set([
  ERRNO.ENOENT,
  ERRNO.ENODATA,
  ERRNO.ENOSYS,
  ERRNO.EROFS,
  ERRNO.ERANGE,
  ERRNO.ENXIO,
])

/** Requests that look up or list names of a directory. */
const LOOKING_OPCODES: ReadonlySet<number> = new Set([
  OPCODES.LOOKUP,
  OPCODES.READDIR,
  OPCODES.READDIRPLUS,
])

/** The fields of `DispatcherData` that a dispatcher needs; see there. */
export interface DispatcherOptions {
  readonly fd: number
  readonly stopping: SharedArrayBuffer
  readonly recorded: SharedArrayBuffer
  readonly watched: SharedArrayBuffer
  readonly wakePrefix: string
  readonly trace: boolean
}

export interface DispatcherModules {
  readonly handler: RequestHandler
  readonly stats: StatsRow
  readonly post: (message: DispatcherMessage) => void
}

export class Dispatcher {
  readonly #fd: number
  readonly #stopping: Int32Array
  readonly #recorded: RecordedSlots
  readonly #watched: RecordedSlots
  readonly #wakePrefix: Buffer
  readonly #trace: boolean
  readonly #handler: RequestHandler
  readonly #stats: StatsRow
  readonly #post: (message: DispatcherMessage) => void
  readonly #request = new Request()
  readonly #reply = new Reply(MAX_READ_BYTES)

  constructor(options: DispatcherOptions, modules: DispatcherModules) {
    this.#fd = options.fd
    this.#stopping = new Int32Array(options.stopping)
    this.#recorded = new RecordedSlots(options.recorded)
    this.#watched = new RecordedSlots(options.watched)
    this.#wakePrefix = Buffer.from(options.wakePrefix, 'latin1')
    this.#trace = options.trace
    this.#handler = modules.handler
    this.#stats = modules.stats
    this.#post = modules.post
  }

  /** The buffer for the next request, before `serve` or `refuse` is called. */
  get buffer(): Uint8Array {
    return this.#request.buffer
  }

  /**
   * Serves requests. Returns when the mount is gone or a wake-up told this dispatcher to end.
   * Throws when /dev/fuse cannot be read.
   */
  run(): void {
    for (;;) {
      const lengthBytes = this.#read()
      if (lengthBytes === undefined) {
        this.#post({ kind: 'ended', reason: 'unmounted' })
        return
      }
      if (this.serve(lengthBytes)) {
        this.#post({ kind: 'ended', reason: 'stopped' })
        return
      }
    }
  }

  /**
   * Answers the request of `lengthBytes` in `buffer`. Returns true when it was a wake-up, which
   * tells this dispatcher to end. Never throws.
   */
  serve(lengthBytes: number): boolean {
    try {
      return this.#answer(lengthBytes)
    } catch (error) {
      this.#rescue(error)
      return false
    }
  }

  /** Answers the request of `lengthBytes` in `buffer` with the errno of `cause`. Never throws. */
  refuse(lengthBytes: number, cause: unknown): void {
    try {
      this.#request.load(lengthBytes)
      this.#reply.begin(this.#request)
      this.#reply.fail(errnoOf(cause))
      this.#count(this.#request.opcode)
      this.#write()
    } catch (error) {
      this.#rescue(error)
    }
  }

  /** Reads the next request and returns its length; `undefined` once the mount is gone. */
  #read(): number | undefined {
    for (;;) {
      try {
        return readSync(this.#fd, this.#request.buffer)
      } catch (error) {
        if (isUnmounted(error)) return undefined
      }
    }
  }

  /** Returns true when this dispatcher must end. */
  #answer(lengthBytes: number): boolean {
    const request = this.#request
    const reply = this.#reply
    request.load(lengthBytes)
    const { opcode } = request
    this.#stats.countRequest(opcode)
    if (this.#trace) this.#traceRequest(lengthBytes)
    if (opcode === OPCODES.INTERRUPT) {
      this.#post({ kind: 'interrupt', unique: readUnique(request) })
      return false
    }
    if (this.#isWakeUp(lengthBytes)) {
      reply.begin(request)
      reply.fail(ERRNO.ENOENT)
      this.#write()
      return true
    }
    this.#record(lengthBytes)
    switch (this.#handler.handle(request, reply)) {
      case 'none':
        return false
      case 'miss':
        this.#postMiss(lengthBytes)
        return false
      case 'incomplete':
        this.#postParked(lengthBytes)
        return false
      case 'ended':
      case 'reply':
        this.#count(opcode)
        if (this.#trace) this.#post({ kind: 'trace', line: printReply(request, reply) })
        this.#write()
        return false
    }
  }

  #count(opcode: number): void {
    const { error, lengthBytes } = this.#reply
    if (error !== 0 && !ORDINARY_ERRNOS.has(-error)) this.#stats.countError()
    if (opcode === OPCODES.READ) this.#stats.countBytesRead(lengthBytes - OUT_HEADER_BYTES)
  }

  #postMiss(lengthBytes: number): void {
    const request = this.#request
    request.load(lengthBytes)
    const { offset, size } = readRange(request)
    const { slot, ino, pid } = request
    this.#stats.countMiss()
    this.#post({ kind: 'miss', unique: uniqueOf(request), slot, ino, offset, size, pid })
  }

  #postParked(lengthBytes: number): void {
    const { buffer, pid, slot } = this.#request
    const unique = uniqueOf(this.#request)
    const request = Uint8Array.from(buffer.subarray(0, lengthBytes))
    this.#stats.countMiss()
    this.#post({ kind: 'parked', unique, slot, pid, request })
  }

  /** Posts a READ of a recorded tree, or a request that looks at names of a watched tree. */
  #record(lengthBytes: number): void {
    const request = this.#request
    const { opcode, slot, ino } = request
    if (opcode === OPCODES.READ && this.#recorded.has(slot)) {
      this.#post({ kind: 'read', slot, ino, ...readRange(request) })
      request.load(lengthBytes)
    } else if (LOOKING_OPCODES.has(opcode) && this.#watched.has(slot)) {
      this.#post({ kind: 'look', slot, ino })
    }
  }

  #write(): void {
    try {
      writeSync(this.#fd, this.#reply.buffer, 0, this.#reply.lengthBytes)
    } catch (error) {
      // ENOENT: nobody waits for this answer any more. ENODEV: the mount is gone, which the next
      // read reports, too.
      const code = systemErrorCode(error)
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error
    }
  }

  #isWakeUp(lengthBytes: number): boolean {
    const request = this.#request
    if (Atomics.load(this.#stopping, 0) === 0 || request.opcode !== OPCODES.LOOKUP) return false
    if (request.slot !== ROOT_SLOT || request.ino !== ROOT_INO) return false
    const name = request.readName()
    request.load(lengthBytes)
    return this.#wakePrefix.equals(name.subarray(0, this.#wakePrefix.length))
  }

  #traceRequest(lengthBytes: number): void {
    this.#post({ kind: 'trace', line: printRequest(this.#request) })
    this.#request.load(lengthBytes)
  }

  /** Answers EIO when a request could not be decoded or the kernel refused its reply. */
  #rescue(error: unknown): void {
    this.#stats.countFault()
    const cause = error instanceof Error ? error : new Error(String(error))
    this.#post({ kind: 'fault', request: `opcode ${this.#request.opcode}`, error: cause })
    this.#reply.begin(this.#request)
    this.#reply.fail(ERRNO.EIO)
    try {
      this.#write()
    } catch {
      // The kernel does not have this request any more. The fault has been posted above.
    }
  }
}

/**
 * True when a failed read of /dev/fuse means that the mount is gone, false when it should be tried
 * again. Throws any other error.
 */
export function isUnmounted(error: unknown): boolean {
  const code = systemErrorCode(error)
  // ENOENT: the request was withdrawn during the read. EINTR: a signal arrived. EAGAIN: there is no
  // request.
  if (code === 'ENOENT' || code === 'EINTR' || code === 'EAGAIN') return false
  if (code === 'ENODEV') return true
  throw error
}

function uniqueOf({ uniqueHigh: high, uniqueLow: low }: Request): Unique {
  return { low, high }
}

/** The number of the request that this INTERRUPT is about. */
function readUnique(request: Request): Unique {
  return { low: request.readUint32(), high: request.readUint32() }
}
