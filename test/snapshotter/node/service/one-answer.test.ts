/** Each call of the snapshots service is answered once, also where something fails after the answer. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js'
import { type DestinationStream, pino } from 'pino'
import type { CleanupRequest, Empty, ListRequest, ListResponse } from '../../../../proto/index.js'
import { snapshotsService } from '../../../../snapshotter/node/service/snapshots-service.js'
import type { SnapshotStore } from '../../../../snapshotter/node/snapshots/snapshot-store.js'

/** An answer as grpc-js would send it. */
type Answer = 'response' | 'error'

/** Emits `line` with the text of every line that is logged. */
class LogLines extends EventEmitter implements DestinationStream {
  write(line: string): void {
    this.emit('line', line)
  }
}

describe('an answer of the snapshots service', () => {
  let lines: LogLines
  let service: ReturnType<typeof snapshotsService>

  beforeEach(() => {
    lines = new LogLines()
    const store: Pick<SnapshotStore, 'cleanup' | 'list'> = {
      cleanup: () => Promise.resolve(),
      list: () => [],
    }
    service = snapshotsService({
      store: store as SnapshotStore,
      log: pino({}, lines),
      onCall: () => {
        throw new Error('the metrics are broken')
      },
    })
  })

  it('is given once when the report of the call fails', async () => {
    const cleanup = service['cleanup'] as handleUnaryCall<CleanupRequest, Empty>
    const call = Object.assign(new EventEmitter(), { request: {}, cancelled: false })
    const answers: Answer[] = []
    const logged = once(lines, 'line')
    cleanup(call as unknown as ServerUnaryCall<CleanupRequest, Empty>, (error) => {
      answers.push(error === null ? 'response' : 'error')
    })
    assert.match(String(await logged), /Cleanup: an error after the answer/)
    assert.deepEqual(answers, ['response'])
  })

  it('is given once when sending it fails', async () => {
    const cleanup = service['cleanup'] as handleUnaryCall<CleanupRequest, Empty>
    const call = Object.assign(new EventEmitter(), { request: {}, cancelled: false })
    let answers = 0
    const logged = once(lines, 'line')
    cleanup(call as unknown as ServerUnaryCall<CleanupRequest, Empty>, () => {
      answers++
      throw new Error('the stream is gone')
    })
    assert.match(String(await logged), /the stream is gone/)
    assert.equal(answers, 1)
  })

  it('to a list ends the stream once when the report of the call fails', async () => {
    const list = service['list'] as handleServerStreamingCall<ListRequest, ListResponse>
    const answers: Answer[] = []
    const call = Object.assign(new EventEmitter(), {
      request: { filters: [] },
      cancelled: false,
      end: () => answers.push('response'),
    })
    call.on('error', () => answers.push('error'))
    const logged = once(lines, 'line')
    list(call as unknown as ServerWritableStream<ListRequest, ListResponse>)
    assert.match(String(await logged), /List: an error after the answer/)
    assert.deepEqual(answers, ['response'])
  })
})
