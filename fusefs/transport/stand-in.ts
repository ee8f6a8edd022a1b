/**
 * Answers a mount that has no trees yet, in place of dispatcher threads, which cost 8 MiB each. Only
 * its root directory is there to be asked for, by df(1) and its like; but whoever asks must not
 * hang. The read waits in a thread of libuv's pool, which is lost to others meanwhile; the answer is
 * given on the thread that called. So nobody here may use the mount before the threads have taken over.
 */
import { read as readCallback } from 'node:fs'
import { promisify } from 'node:util'
import { type Dispatcher, isUnmounted } from './dispatcher.js'

const read = promisify(readCallback)

/**
 * Answers request by request until the mount is gone, a wake-up ends it, or `isRelieved` after an
 * answer: a read that waits cannot be taken back, so it answers one request more than it has to.
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

/** The next request's length; `undefined` once the mount is gone. */
async function readRequest(fd: number, buffer: Uint8Array): Promise<number | undefined> {
  for (;;) {
    try {
      return (await read(fd, buffer, 0, buffer.length, null)).bytesRead
    } catch (error) {
      if (isUnmounted(error)) return undefined
    }
  }
}
