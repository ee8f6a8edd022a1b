/**
 * Starts dispatcher threads. Loading their code takes most of the start. A process that will serve
 * later can therefore load threads before it knows the trees and the mount that it will serve.
 */
import { Worker } from 'node:worker_threads'
import type { DispatcherData } from './dispatcher-messages.js'

/** Loaded threads that wait for their `DispatcherData`. */
const loaded: Worker[] = []

/** Loads `count` threads for the next calls of `startDispatcherThread`. */
export function loadDispatcherThreads(count: number): void {
  for (let i = 0; i < count; i++) loaded.push(start(undefined))
}

/** Starts a thread, or gives the data to a loaded thread. */
export function startDispatcherThread(data: DispatcherData): Worker {
  const thread = loaded.shift()
  if (thread === undefined) return start(data)
  thread.postMessage(data)
  return thread
}

function start(data: DispatcherData | undefined): Worker {
  return new Worker(new URL('./dispatcher-worker.js', import.meta.url), {
    workerData: data,
    name: 'fuse dispatcher',
    // Objects made for a request die young. V8's default young generation would only waste memory.
    resourceLimits: { maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 192 },
    // The thread must not close the descriptor of /dev/fuse.
    trackUnmanagedFds: false,
  })
}
