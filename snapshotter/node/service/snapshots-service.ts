/**
 * The methods of containerd's snapshots service over a snapshot store. This file only translates:
 * messages into calls, answers into messages, errors into gRPC status.
 */
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { Logger } from 'pino'
import type {
  CleanupRequest,
  CommitRequest,
  Empty,
  InfoResponse,
  KeyRequest,
  ListRequest,
  ListResponse,
  MountsResponse,
  PrepareRequest,
  UpdateRequest,
  UsageResponse,
} from '../../../proto/index.js'
import { SnapshotterError } from '../../errors.js'
import type { PrepareOptions } from '../snapshots/snapshot-options.js'
import type { SnapshotStore } from '../snapshots/snapshot-store.js'
import { infoFromSnapshot } from './messages.js'
import { statusFromError } from './grpc-status.js'

/** Snapshots in one message of a list. containerd's own service sends as many. */
const LIST_BATCH = 100
/** Limit of a call whose own deadline is missing or later. No fetch may take as long. */
const MAX_CALL_MS = 15 * 60 * 1000

/** A call that has been answered. */
export interface AnsweredCall {
  /** The name in the service, such as `Commit`. */
  readonly method: string
  /** gRPC's name of the status, such as `OK` or `NOT_FOUND`. */
  readonly code: string
  readonly durationSec: number
}

export interface SnapshotsServiceModules {
  readonly store: SnapshotStore
  readonly log: Logger
  /** Called for every answered call, also for failed ones. */
  readonly onCall?: ((call: AnsweredCall) => void) | undefined
}

/** The implementation for a grpc-js server. It logs every failed call once. */
export function snapshotsService(modules: SnapshotsServiceModules): UntypedServiceImplementation {
  const { store } = modules
  const unary = unaryHandlers(modules)
  return {
    prepare: unary('Prepare', async (request: PrepareRequest, signal): Promise<MountsResponse> => {
      return { mounts: await store.prepare(prepareOptions(request), signal) }
    }),
    view: unary('View', async (request: PrepareRequest, signal): Promise<MountsResponse> => {
      return { mounts: await store.view(prepareOptions(request), signal) }
    }),
    mounts: unary('Mounts', async (request: KeyRequest, signal): Promise<MountsResponse> => {
      return { mounts: await store.mounts(request.key, signal) }
    }),
    commit: unary('Commit', async (request: CommitRequest, signal): Promise<Empty> => {
      const { name, key, labels, parent } = request
      await store.commit({ name, key, labels, parent: parent === '' ? undefined : parent }, signal)
      return {}
    }),
    remove: unary('Remove', async (request: KeyRequest, signal): Promise<Empty> => {
      await store.remove(request.key, signal)
      return {}
    }),
    stat: unary('Stat', (request: KeyRequest): InfoResponse => {
      return { info: infoFromSnapshot(store.stat(request.key)) }
    }),
    update: unary('Update', (request: UpdateRequest): InfoResponse => {
      const { info, updateMask } = request
      if (info === null) throw new SnapshotterError('invalid-argument', 'update without info')
      const paths = updateMask?.paths ?? []
      const changed = store.update({ key: info.name, labels: info.labels, paths })
      return { info: infoFromSnapshot(changed) }
    }),
    list: listHandler(modules),
    usage: unary('Usage', async (request: KeyRequest, signal): Promise<UsageResponse> => {
      const { sizeBytes, inodes } = await store.usage(request.key, signal)
      return { size: sizeBytes, inodes }
    }),
    cleanup: unary<CleanupRequest, Empty>('Cleanup', async () => {
      await store.cleanup()
      return {}
    }),
  }
}

function prepareOptions({ key, parent, labels }: PrepareRequest): PrepareOptions {
  return { key, parent: parent === '' ? undefined : parent, labels }
}

type Method<Request, Response> = (
  request: Request,
  signal: AbortSignal,
) => Response | Promise<Response>

function unaryHandlers({ log, onCall }: SnapshotsServiceModules) {
  return <Request, Response>(
    name: string,
    method: Method<Request, Response>,
  ): handleUnaryCall<Request, Response> => {
    return (call, callback) => {
      const answer = async (): Promise<void> => {
        const answered = stopwatch(name, onCall)
        // A call is answered once: an error of `callback` itself must not lead to a second answer.
        let response: Response
        try {
          response = await withSignal(call, (signal) => method(call.request, signal))
        } catch (error) {
          const failure = statusOf(error, name, call.request, log)
          callback(failure)
          answered(failure.code)
          return
        }
        callback(null, response)
        answered(status.OK)
      }
      answer().catch((error: unknown) => {
        logAfterAnswer(error, name, log)
      })
    }
  }
}

function listHandler({
  store,
  log,
  onCall,
}: SnapshotsServiceModules): handleServerStreamingCall<ListRequest, ListResponse> {
  return (call) => {
    const answer = async (): Promise<void> => {
      const answered = stopwatch('List', onCall)
      try {
        await withSignal(call, (signal) => sendList(call, store, signal))
      } catch (error) {
        const failure = statusOf(error, 'List', call.request, log)
        call.emit('error', failure)
        answered(failure.code)
        return
      }
      call.end()
      answered(status.OK)
    }
    answer().catch((error: unknown) => {
      logAfterAnswer(error, 'List', log)
    })
  }
}

/** The caller has its answer, or is about to: such an error is a bug of ours and only logged. */
function logAfterAnswer(error: unknown, method: string, log: Logger): void {
  log.error({ method, err: error }, `${method}: an error after the answer`)
}

/** Reports a call that begins now, once its status is known. */
function stopwatch(
  method: string,
  onCall: SnapshotsServiceModules['onCall'],
): (code: status | undefined) => void {
  const startedMs = performance.now()
  return (code) => {
    const durationSec = (performance.now() - startedMs) / 1000
    onCall?.({ method, code: status[code ?? status.UNKNOWN], durationSec })
  }
}

async function sendList(
  call: ServerWritableStream<ListRequest, ListResponse>,
  store: SnapshotStore,
  signal: AbortSignal,
): Promise<void> {
  const snapshots = store.list(call.request.filters)
  for (let start = 0; start < snapshots.length && !signal.aborted; start += LIST_BATCH) {
    const batch = snapshots.slice(start, start + LIST_BATCH)
    if (!call.write({ info: batch.map(infoFromSnapshot) })) await drained(call, signal)
  }
}

/** Resolves when the stream takes more, or when `signal` fires. */
async function drained(
  call: ServerWritableStream<ListRequest, ListResponse>,
  signal: AbortSignal,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      call.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    call.on('drain', done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

/**
 * Runs `work` with a signal. The signal fires when the caller hangs up, when the caller's deadline
 * passes (grpc-js reports both alike), or after MAX_CALL_MS. When `work` has ended, the timer and
 * the listener are removed.
 */
async function withSignal<T>(
  call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const onCancelled = (): void => {
    controller.abort(new Error('the caller hung up, or its deadline has passed'))
  }
  const timer = setTimeout(() => {
    controller.abort(new Error(`not done after ${MAX_CALL_MS / 60_000} minutes`))
  }, MAX_CALL_MS)
  call.once('cancelled', onCancelled)
  if (call.cancelled) onCancelled()
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    call.off('cancelled', onCancelled)
  }
}

/**
 * Logs a failed call and returns its gRPC status. Errors that containerd provokes on purpose are
 * logged at debug, wrong requests at info, failures of this node or its stores at error.
 */
function statusOf(
  error: unknown,
  method: string,
  request: unknown,
  log: Logger,
): ReturnType<typeof statusFromError> {
  const failure = SnapshotterError.from(error, method)
  const fields = { method, request, code: failure.code, err: failure }
  switch (failure.code) {
    case 'not-found':
    case 'already-exists':
    case 'cancelled':
      log.debug(fields, `${method}: ${failure.message}`)
      break
    case 'invalid-argument':
    case 'failed-precondition':
      log.info(fields, `${method}: ${failure.message}`)
      break
    case 'unavailable':
    case 'unauthorized':
    case 'invalid-content':
    case 'internal':
      log.error(fields, `${method}: ${failure.message}`)
      break
  }
  return statusFromError(failure)
}
