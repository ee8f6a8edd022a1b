/** One daemon process, as its parent, the keeper, sees it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  daemonMessageFrom,
  type NegotiatedMessage,
  PING,
  type ServeMessage,
} from './keeper-protocol.js'

/** How long a daemon may take to end after SIGTERM before it gets SIGKILL. */
const STOP_TIMEOUT_MS = 20_000

/**
 * An operator's own setting stands. How the daemon's malloc gives memory back, see mallopt(3): a heap
 * for each of its threads, because what V8's compiler takes for a moment, 30 MiB, would otherwise lie
 * between what SQLite keeps and never come back; and no heap keeps what is free at its top, which
 * glibc allows up to 64 MiB of after the first large buffer.
 */
const DAEMON_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '16',
  MALLOC_MMAP_THRESHOLD_: String(128 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(64 * 1024),
  MALLOC_TOP_PAD_: '0',
  // Node.js has four; a mount without trees keeps one.
  UV_THREADPOOL_SIZE: '6',
}

/**
 * Pings in the time after which a daemon that answers none is killed. Counted in our own turns, so
 * that a machine on which nothing ran for a while is not taken for a daemon that hangs.
 */
const PINGS_PER_DEADLINE = 4
/** A program that still loads cannot answer: it gets so many times the deadline for its first. */
const FIRST_ANSWER_FACTOR = 4

/** The first descriptor of a child after stdin, stdout, stderr and the channel to the parent. */
export const FIRST_INHERITED_FD = 4

export interface DaemonChildOptions {
  readonly program: string
  readonly args: readonly string[]
  /** What the child gets from `FIRST_INHERITED_FD` on. */
  readonly fds: readonly number[]
  /** A daemon that answers no ping for so long is killed. 0: no pings. */
  readonly watchdogMs: number
}

/** How a daemon ended. */
export type DaemonEnd =
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: string | null }
  /** The program could not be run. */
  | { readonly kind: 'failed'; readonly message: string }

export interface DaemonListener {
  readonly onOutput: (stream: 'stdout' | 'stderr', text: string) => void
  readonly onNegotiated: (message: NegotiatedMessage) => void
  /** The daemon serves. */
  readonly onReady: () => void
  /** The daemon has answered a ping. */
  readonly onAlive: () => void
  /** The daemon is killed, because it has answered no ping for this time. */
  readonly onHang: (hungMs: number) => void
  /** Called once, after the last output. */
  readonly onEnd: (end: DaemonEnd) => void
}

export class DaemonChild {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #isReady = false
  #isStopping = false
  #hasAnswered = false
  /** Pings since the last answer. */
  #unanswered = 0

  private constructor(
    child: ChildProcess,
    { program, watchdogMs }: DaemonChildOptions,
    listener: DaemonListener,
  ) {
    this.#child = child
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = child[name]
      stream?.setEncoding('utf8')
      stream?.on('data', (text: string) => {
        listener.onOutput(name, text)
      })
    }
    child.on('message', (message) => {
      this.#hear(message, listener)
    })
    const pings =
      watchdogMs > 0
        ? setInterval(() => {
            this.#ping(watchdogMs, listener)
          }, watchdogMs / PINGS_PER_DEADLINE)
        : undefined
    let failure: string | undefined
    child.on('error', (error) => {
      failure = `cannot run ${program}: ${error.message}`
    })
    this.#ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        clearInterval(pings)
        resolve()
        listener.onEnd(
          failure === undefined
            ? { kind: 'exited', code, signal }
            : { kind: 'failed', message: failure },
        )
      })
    })
  }

  /** Starts the program. A program that cannot be run ends with `failed`. */
  static spawn(options: DaemonChildOptions, listener: DaemonListener): DaemonChild {
    const child = spawn(options.program, [...options.args], {
      env: { ...DAEMON_ENVIRONMENT, ...process.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...options.fds],
    })
    return new DaemonChild(child, options, listener)
  }

  /** Undefined for a program that could not be run. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Whether the daemon was asked to end. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Makes a standby the daemon. */
  serve(fuse: readonly string[]): void {
    const message: ServeMessage = { kind: 'serve', fuse }
    this.#child.send(message, () => undefined)
  }

  /** Ends a standby, which has nothing to save. */
  discard(): void {
    this.#isStopping = true
    this.#child.kill('SIGKILL')
  }

  /** Ends the daemon, with SIGKILL if it takes too long. Resolves after `onEnd`. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#child.kill('SIGTERM')
    const deadline = new AbortController()
    const killed = sleep(STOP_TIMEOUT_MS, undefined, { signal: deadline.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => false,
    )
    await this.#ended
    deadline.abort()
    await killed
  }

  /** A daemon that ends has a deadline of its own. */
  #ping(watchdogMs: number, listener: DaemonListener): void {
    if (this.#isStopping || !this.#child.connected) return
    const factor = this.#hasAnswered ? 1 : FIRST_ANSWER_FACTOR
    if (this.#unanswered >= PINGS_PER_DEADLINE * factor) {
      listener.onHang(watchdogMs * factor)
      this.#child.kill('SIGKILL')
      return
    }
    // One ping is under way at a time: a daemon that hangs would only collect them.
    if (this.#unanswered++ === 0) this.#child.send(PING, () => undefined)
  }

  #hear(value: unknown, listener: DaemonListener): void {
    const message = daemonMessageFrom(value)
    switch (message?.kind) {
      case 'negotiated':
        listener.onNegotiated(message)
        return
      case 'ready':
        this.#isReady = true
        listener.onReady()
        return
      case 'pong':
        this.#hasAnswered = true
        this.#unanswered = 0
        listener.onAlive()
        return
      case undefined:
    }
  }
}
