/**
 * Entry point of the thread that stores pages in the kernel's cache. Only `KernelCache` starts it.
 * System calls may block here, because other threads answer the requests that they wait for.
 */
import { lstatSync, writevSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { nodeIdOf } from '../filesystem/node-id.js'
import { encodeNotifyStore } from '../wire/notify.js'
import type {
  KernelCacheData,
  KernelCacheReply,
  KernelCacheRequest,
  PageRun,
} from './kernel-cache.js'
import { isExpectedRefusal, isOutOfMemory } from './notification.js'

const port = parentPort
if (port === null) throw new Error('kernel-cache-worker.js runs as a worker thread only')

const { fd } = workerData as KernelCacheData

port.on('message', (request: KernelCacheRequest) => {
  switch (request.kind) {
    case 'look':
      for (const path of request.paths) look(path)
      return
    case 'store': {
      const { slot, bytes, runs } = request
      const reply: KernelCacheReply = { ...store(slot, bytes, runs), bytes }
      port.postMessage(reply, [bytes.buffer])
      return
    }
    case 'end':
      port.close()
  }
})

/** Ignores errors: the tree or mount may be going away. A program that opens the file gets them. */
function look(path: Uint8Array): void {
  try {
    lstatSync(Buffer.from(path.buffer, path.byteOffset, path.length), { throwIfNoEntry: false })
  } catch {
    return
  }
}

function store(
  slot: number,
  bytes: Uint8Array,
  runs: readonly PageRun[],
): Omit<KernelCacheReply, 'bytes'> {
  let storedBytes = 0
  let refusal: unknown
  for (const { ino, offset, from, length } of runs) {
    const header = encodeNotifyStore(nodeIdOf(slot, ino), offset, length)
    try {
      writevSync(fd, [header, bytes.subarray(from, from + length)])
      storedBytes += length
    } catch (error) {
      if (!isExpectedRefusal(error) && !isOutOfMemory(error)) refusal ??= error
    }
  }
  return { storedBytes, refusal }
}
