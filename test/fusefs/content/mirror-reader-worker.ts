/**
 * A dispatcher thread for tests: reads random ranges of mirrors as fast as it can, and compares the
 * bytes with those of the pack.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { type MirrorShared, MirrorView } from '../../../fusefs/index.js'

/** The `workerData` of the thread. */
export interface MirrorReaderData {
  /** Raw bytes of each pack, in a SharedArrayBuffer. */
  readonly raws: readonly SharedArrayBuffer[]
  /** An `Int32Array` of one element. The thread ends when it becomes 1. */
  readonly stop: SharedArrayBuffer
  /**
   * An `Int32Array` of three counters: reads served, reads refused, reads that returned wrong
   * bytes.
   */
  readonly counts: SharedArrayBuffer
}

/** Posted to the thread: the current mirror of a pack. */
export interface MirrorReaderMessage {
  readonly pack: number
  readonly shared: MirrorShared
}

function start(port: NonNullable<typeof parentPort>, data: MirrorReaderData): void {
  const raws = data.raws.map((raw) => new Uint8Array(raw))
  const stop = new Int32Array(data.stop)
  const counts = new Int32Array(data.counts)
  const views = new Map<number, MirrorView>()
  const target = Buffer.alloc(128 * 1024)
  port.on('message', (message: MirrorReaderMessage) => {
    views.set(message.pack, new MirrorView(message.shared))
  })
  const turn = (): void => {
    for (let i = 0; i < 50; i++) {
      for (const [pack, view] of views) {
        const raw = raws[pack] ?? new Uint8Array()
        const length = 1 + Math.floor(Math.random() * target.length)
        const rawOffset = Math.floor(Math.random() * (raw.length - length))
        const part = target.subarray(0, length)
        if (!view.tryReadSync(part, rawOffset)) {
          Atomics.add(counts, 1, 1)
        } else {
          const isRight = part.equals(raw.subarray(rawOffset, rawOffset + length))
          Atomics.add(counts, isRight ? 0 : 2, 1)
        }
      }
    }
    if (Atomics.load(stop, 0) === 0) setImmediate(turn)
    else port.close()
  }
  turn()
}

if (parentPort !== null) start(parentPort, workerData as MirrorReaderData)
