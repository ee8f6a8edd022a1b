/** Sends the kernel what it has not asked for, and tells its refusals apart. */
import { write as writeCallback } from 'node:fs'
import { promisify } from 'node:util'
import { systemErrorCode } from '../../index-format/system-error.js'
import type { Log } from '../log.js'

const write = promisify(writeCallback)

/** ENOENT: the kernel does not have what is meant. ENODEV, ENOTCONN: nor the mount. */
const EXPECTED: readonly (string | undefined)[] = ['ENOENT', 'ENODEV', 'ENOTCONN']

/** False where the kernel refuses; `fd` is /dev/fuse, mounted. Never throws. */
export async function sendNotification(
  fd: number,
  message: Uint8Array,
  log: Log,
): Promise<boolean> {
  try {
    await write(fd, message)
    return true
  } catch (error) {
    if (!isExpectedRefusal(error)) warnOfRefusal(error, log)
    return false
  }
}

/** Whether a notification was refused for a reason that is no fault of ours. */
export function isExpectedRefusal(error: unknown): boolean {
  return EXPECTED.includes(systemErrorCode(error))
}

/** Whether there is no room for what was to be stored. */
export function isOutOfMemory(error: unknown): boolean {
  return systemErrorCode(error) === 'ENOMEM'
}

export function warnOfRefusal(error: unknown, log: Log): void {
  log.warn({ err: error }, 'the kernel refused a notification')
}
