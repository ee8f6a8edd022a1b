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
 * Environment variables of the daemon. An operator's own setting overrides them. The variables of
 * malloc make the daemon return free memory to the kernel; see mallopt(3).
 *
 * `MALLOC_ARENA_MAX` lets each thread have a heap of its own. V8's compiler needs 30 MiB for a
 * moment. In a shared heap, this memory would lie between memory that SQLite keeps, and would never
 * be returned. The other variables of malloc make each heap return the free memory at its top. By
 * default, glibc keeps up to 64 MiB there after the first large buffer.
 */
const DAEMON_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '16',
  MALLOC_MMAP_THRESHOLD_: String(128 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(64 * 1024),
  MALLOC_TOP_PAD_: '0',
  // Node.js's default is 4. Each mount without trees occupies one thread.
  UV_THREADPOOL_SIZE: '6',
}

/**
 * Pings in `watchdogMs`. A daemon that answers none of them is killed. The keeper counts its own
 * pings and reads no clock: after a pause of the whole machine, it must not take the daemon for one
 * that hangs.
 */
const PINGS_PER_DEADLINE = 4
/** A loading program cannot answer. For its first answer, it gets this many times `watchdogMs`. */
const FIRST_ANSWER_FACTOR = 4

/** The first descriptor of a child after stdin, stdout, stderr and the channel to the parent. */
export const FIRST_INHERITED_FD = 4

export interface DaemonChildOptions {
  readonly program: string
  readonly args: readonly string[]
  /** The descriptors that the child inherits. It numbers them from `FIRST_INHERITED_FD` on. */
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

  /** Tells a standby to serve as the daemon. `fuse`: the arguments that follow `--fuse`. */
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

  /**
   * Sends a ping, or kills a daemon that has not answered in time. A daemon that is stopping gets
   * no pings, because `stop` has a deadline of its own.
   */
  #ping(watchdogMs: number, listener: DaemonListener): void {
    if (this.#isStopping || !this.#child.connected) return
    const factor = this.#hasAnswered ? 1 : FIRST_ANSWER_FACTOR
    if (this.#unanswered >= PINGS_PER_DEADLINE * factor) {
      listener.onHang(watchdogMs * factor)
      this.#child.kill('SIGKILL')
      return
    }
    // Only one ping is under way at a time. In a daemon that hangs, more would only pile up.
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
