/**
 * The messages on the keeper's socket: one JSON object a line, in both directions. The keeper keeps
 * running while everything else is upgraded, so the protocol is small and has a version.
 */
import type { NegotiatedInit } from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'

/** Incremented when an older keeper could not understand a newer client, or the other way round. */
export const KEEPER_PROTOCOL_VERSION = 1

/** Limit of one line. No message is as long. */
export const MAX_LINE_BYTES = 1 << 20

/** A FUSE superblock that the keeper is asked to hold. */
export interface KeptMount {
  /** The class of its trees, which the daemon knows the superblock by. */
  readonly name: string
  /** Absolute path of an existing directory. */
  readonly mountpoint: string
}

/** From a client to the keeper. */
export type KeeperRequest =
  /**
   * Mounts the superblocks that the keeper does not hold yet, and starts the daemon. A running
   * daemon is stopped first. The daemon's output comes back as events.
   */
  | {
      readonly op: 'start'
      readonly version: number
      /**
       * Program and arguments. `--fuse NAME=FD=NEGOTIATED` is appended for every mount. NEGOTIATED
       * is JSON: the outcome of INIT, or null.
       */
      readonly command: readonly string[]
      readonly mounts: readonly KeptMount[]
      /** Whether the client knows the event `ready`. Absent in requests of older fronts. */
      readonly tellReady?: boolean
      /**
       * The keeper kills a daemon that answers no ping for this time. It sends the client an
       * `alive` event for every answer. Absent or 0: no pings.
       */
      readonly watchdogMs?: number
      /**
       * Whether `command` with `--standby` is a program that loads and then waits to serve. The
       * keeper then runs one, which takes over when the daemon dies. Absent: no.
       */
      readonly standby?: boolean
    }
  /** Ends the daemon and keeps the mounts. */
  | { readonly op: 'stop' }
  /**
   * Ends the daemon, unmounts everything, and exits. Refused while containers use the mounts,
   * unless `force` is set.
   */
  | { readonly op: 'shutdown'; readonly force: boolean }

/** From the keeper to a client. */
export type KeeperEvent =
  /** `tellsReady`: a `ready` event will follow. Absent from older keepers. */
  | { readonly event: 'started'; readonly pid: number; readonly tellsReady?: boolean }
  /** The daemon serves. Sent only where the request asked for it. */
  | { readonly event: 'ready' }
  /** The daemon has answered a ping. Sent only where the request asked for a watchdog. */
  | { readonly event: 'alive' }
  /** A piece of the daemon's standard output or error. */
  | { readonly event: 'output'; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly event: 'exited'; readonly code: number | null; readonly signal: string | null }
  | { readonly event: 'stopped' }
  | { readonly event: 'done' }
  | { readonly event: 'failed'; readonly message: string }

/** The outcome of an INIT, from the daemon to the keeper over the channel of child and parent. */
export interface NegotiatedMessage {
  readonly kind: 'negotiated'
  readonly name: string
  readonly negotiated: NegotiatedInit
}

/** From the daemon to the keeper, over the channel between child and parent. */
export type DaemonMessage =
  | NegotiatedMessage
  /** The daemon serves the mounts and the calls of containerd. */
  | { readonly kind: 'ready' }
  /** The answer to a ping. */
  | { readonly kind: 'pong' }

/** From the keeper to the daemon, over the same channel. */
export const PING = { kind: 'ping' } as const

/** From the keeper to a standby: the standby is the daemon from now on. */
export interface ServeMessage {
  readonly kind: 'serve'
  /** The arguments that follow `--fuse`. */
  readonly fuse: readonly string[]
}

/** The arguments in a message that makes a standby the daemon; undefined for any other. */
export function fuseOfServe(message: unknown): readonly string[] | undefined {
  const fields = record(message)
  const fuse = fields?.['fuse']
  return fields?.['kind'] === 'serve' && isStringList(fuse) ? fuse : undefined
}

/** Whether a message of the keeper is a ping. A daemon ignores messages that it does not know. */
export function isPing(message: unknown): boolean {
  return record(message)?.['kind'] === PING.kind
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : undefined
}

function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function mountsFrom(value: unknown): KeptMount[] | undefined {
  if (!Array.isArray(value) || value.length > 16) return undefined
  const mounts: KeptMount[] = []
  for (const item of value) {
    const fields = record(item)
    const name = fields?.['name']
    const mountpoint = fields?.['mountpoint']
    if (typeof name !== 'string' || typeof mountpoint !== 'string') return undefined
    mounts.push({ name, mountpoint })
  }
  return mounts
}

/** Parses one line from a client. Throws `invalid-argument`, or `SyntaxError` for no JSON. */
export function keeperRequestFromLine(line: string): KeeperRequest {
  const fields = record(JSON.parse(line))
  switch (fields?.['op']) {
    case 'start': {
      const { version, command } = fields
      const mounts = mountsFrom(fields['mounts'])
      if (typeof version === 'number' && isStringList(command) && mounts !== undefined) {
        const tellReady = fields['tellReady'] === true
        const watchdogMs = fields['watchdogMs']
        return {
          ...{ op: 'start', version, command, mounts },
          ...(tellReady && { tellReady }),
          ...(typeof watchdogMs === 'number' && { watchdogMs }),
          ...(fields['standby'] === true && { standby: true }),
        }
      }
      break
    }
    case 'stop':
      return { op: 'stop' }
    case 'shutdown':
      return { op: 'shutdown', force: fields['force'] === true }
  }
  throw new SnapshotterError('invalid-argument', `keeper: not a request: ${line.slice(0, 200)}`)
}

/** Parses one line from the keeper. Throws `invalid-content`, or `SyntaxError` for no JSON. */
export function keeperEventFromLine(line: string): KeeperEvent {
  const fields = record(JSON.parse(line)) ?? {}
  const { event, pid, stream, text, code, signal, message } = fields
  switch (event) {
    case 'started':
      if (typeof pid === 'number') {
        const tellsReady = fields['tellsReady'] === true
        return { event, pid, ...(tellsReady && { tellsReady }) }
      }
      break
    case 'ready':
    case 'alive':
      return { event }
    case 'output':
      if ((stream === 'stdout' || stream === 'stderr') && typeof text === 'string') {
        return { event, stream, text }
      }
      break
    case 'exited':
      return {
        event,
        code: typeof code === 'number' ? code : null,
        signal: typeof signal === 'string' ? signal : null,
      }
    case 'stopped':
    case 'done':
      return { event }
    case 'failed':
      return { event, message: typeof message === 'string' ? message : 'no reason given' }
  }
  throw new SnapshotterError('invalid-content', `keeper: not an event: ${line.slice(0, 200)}`)
}

/** Parses a message of the daemon. Undefined for a message that this keeper does not know. */
export function daemonMessageFrom(message: unknown): DaemonMessage | undefined {
  const fields = record(message)
  switch (fields?.['kind']) {
    case 'ready':
      return { kind: 'ready' }
    case 'pong':
      return { kind: 'pong' }
    case 'negotiated':
      return isNegotiatedMessage(message) ? message : undefined
  }
  return undefined
}

function isNegotiatedMessage(message: unknown): message is NegotiatedMessage {
  const fields = record(message)
  return typeof fields?.['name'] === 'string' && record(fields['negotiated']) !== undefined
}

/** Splits a stream of text into lines. Memory is bounded by the limit of an unfinished line. */
export class LineSplitter {
  #rest = ''

  /**
   * The lines that `chunk` completes, without empty ones. Throws `invalid-content` where the
   * unfinished line is longer than MAX_LINE_BYTES.
   */
  push(chunk: string): string[] {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAX_LINE_BYTES) {
      throw new SnapshotterError(
        'invalid-content',
        `keeper: a line exceeds ${String(MAX_LINE_BYTES)} bytes`,
      )
    }
    return lines.filter((line) => line !== '')
  }
}
