/**
 * Answers requests while a mount has no trees yet. It takes the place of dispatcher threads, which
 * cost 8 MiB each. Such a mount has only its root directory. Programs like df(1) may look at it and
 * must not hang. The read of /dev/fuse occupies a thread of libuv's pool, and the answer is
 * computed on the calling thread. So this process must not use the mount before the threads have
 * taken over.
 */
import { read as readCallback } from 'node:fs'
import { promisify } from 'node:util'
import { type Dispatcher, isUnmounted } from './dispatcher.js'

const read = promisify(readCallback)

/**
 * Answers requests until the mount is gone, a wake-up is read, or `isRelieved` is true after an
 * answer. A waiting read cannot be cancelled. So one more request is answered here after the
 * threads have taken over. Throws when /dev/fuse cannot be read.
 */
export async function standIn(
  fd: number,
  dispatcher: Dispatcher,
  isRelieved: () => boolean,
): Promise<void> {
  while (!isRelieved()) {
    const lengthBytes = await readRequest(fd, dispatcher.buffer)
    if (lengthBytes === undefined || dispatcher.serve(lengthBytes)) return
  }
}

/** Reads the next request and returns its length; `undefined` once the mount is gone. */
async function readRequest(fd: number, buffer: Uint8Array): Promise<number | undefined> {
  for (;;) {
    try {
      return (await read(fd, buffer, 0, buffer.length, null)).bytesRead
    } catch (error) {
      if (isUnmounted(error)) return undefined
    }
  }
}
