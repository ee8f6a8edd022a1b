/** Runs the daemon as a process, with its log, its signals, and its channel to the keeper. */
import type { Logger } from 'pino'
import {
  loadDispatcherThreads,
  type NegotiatedInit,
  negotiatedInitFromJson,
  type TreeClass,
} from '../../fusefs/index.js'
import { loadSnapshotsService } from '../../proto/index.js'
import type { Config } from '../config/index.js'
import { Daemon } from '../node/daemon/daemon.js'
import type { InheritedFuse } from '../node/fuse-servers.js'
import { TREE_CLASSES } from '../node/mountpoints.js'
import { fuseOfServe, isPing } from '../node/keeper/keeper-protocol.js'
import { SnapshotterError } from '../errors.js'
import { createLog } from '../log/create-log.js'

export interface DaemonProcessOptions {
  readonly config: Config
  /** `class=fd=negotiated` for every mount that the keeper holds. */
  readonly fuse: readonly string[]
  readonly trace: boolean
}

/**
 * Starts the daemon and resolves when it runs. It ends, with the process, on SIGTERM or SIGINT,
 * when the keeper is gone, or when a mount is lost. Rejects when the daemon does not start.
 */
export async function runDaemon(options: DaemonProcessOptions): Promise<void> {
  const { config, trace } = options
  const log = createLog(trace ? { ...config.log, level: 'debug' } : config.log)
  let answered = (): Promise<void> => Promise.resolve()
  process.removeAllListeners('message')
  process.removeAllListeners('disconnect')
  process.on('message', (message) => {
    if (isPing(message)) void answered().then(() => process.send?.({ kind: 'pong' }))
  })
  const daemon = await Daemon.start(
    { config, inherited: options.fuse.map(inheritedFromArgument), trace },
    { log, onInit: tellKeeper },
  )
  answered = () => daemon.answered()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => void end(daemon, log, 0))
  }
  // Without a keeper, nothing could stop or replace the daemon.
  process.on('disconnect', () => void end(daemon, log, 1))
  void daemon.failed().then((treeClass) => {
    log.error({ class: treeClass }, 'the FUSE mount is gone; was it unmounted by hand?')
    return end(daemon, log, 1)
  })
  void daemon.databaseRepaired().then(() => {
    log.info({}, 'the snapshot database can be read again: the next daemon uses it')
    return end(daemon, log, 1)
  })
  process.send?.({ kind: 'ready' })
}

/**
 * Dispatcher threads that a standby loads: by default, this number serves the first class. All
 * other threads are started when the daemon serves.
 */
const LOADED_THREADS = 2

/**
 * Waits, as a standby, until the keeper asks this process to serve. Resolves with the arguments
 * that follow `--fuse`. Ends the process when the keeper ends.
 */
export async function askedToServe(): Promise<readonly string[]> {
  // Every call of containerd needs the service definition, and it takes long to read.
  loadSnapshotsService()
  loadDispatcherThreads(LOADED_THREADS)
  process.on('disconnect', () => process.exit(0))
  return new Promise((resolve) => {
    process.on('message', (message) => {
      if (isPing(message)) process.send?.({ kind: 'pong' })
      const fuse = fuseOfServe(message)
      if (fuse !== undefined) resolve(fuse)
    })
  })
}

async function end(daemon: Daemon, log: Logger, status: number): Promise<void> {
  const threadsEnded = await daemon.close()
  log.flush()
  // A thread that is stuck in read(2) would keep the process alive. Everything is saved by now.
  if (!threadsEnded) process.kill(process.pid, 'SIGKILL')
  process.exit(status)
}

/** Sends the outcome of INIT to the keeper. It must have it before the kernel gets the answer. */
async function tellKeeper(name: TreeClass, negotiated: NegotiatedInit): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (process.send === undefined) {
      reject(
        new SnapshotterError('failed-precondition', 'started with --fuse, but not by a keeper'),
      )
      return
    }
    process.send({ kind: 'negotiated', name, negotiated }, (error: Error | null) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}

/** Reads one `--fuse class=fd=negotiated`, as the keeper writes it. Throws `invalid-argument`. */
export function inheritedFromArgument(argument: string): InheritedFuse {
  const match = /^([a-z]+)=(\d+)=(.*)$/s.exec(argument)
  const treeClass = TREE_CLASSES.find((name) => name === match?.[1])
  if (match?.[2] === undefined || match[3] === undefined || treeClass === undefined) {
    throw new SnapshotterError(
      'invalid-argument',
      `--fuse ${argument}: expected class=fd=negotiated`,
    )
  }
  return { class: treeClass, fd: Number(match[2]), negotiated: negotiatedFromJson(match[3]) }
}

/** `null` stands for a mount that no daemon has served yet. */
function negotiatedFromJson(text: string): NegotiatedInit | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return value === null ? undefined : negotiatedInitFromJson(value)
  } catch (cause) {
    throw new SnapshotterError(
      'invalid-argument',
      `--fuse: this is not what an INIT negotiated: ${text.slice(0, 200)}`,
      { cause },
    )
  }
}
