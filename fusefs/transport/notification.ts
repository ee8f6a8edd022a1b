/** Sends notifications to the kernel, and tells its expected refusals from the others. */
import { write as writeCallback } from 'node:fs'
import { promisify } from 'node:util'
import { systemErrorCode } from '../../index-format/system-error.js'
import type { Log } from '../log.js'

const write = promisify(writeCallback)

/** ENOENT: the kernel does not have the inode or the name. ENODEV, ENOTCONN: the mount is gone. */
const EXPECTED: readonly (string | undefined)[] = ['ENOENT', 'ENODEV', 'ENOTCONN']

/**
 * Sends a notification. `fd` is /dev/fuse, mounted. Resolves to false when the kernel refuses it,
 * and logs an unexpected refusal. Never rejects.
 */
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

/** Whether a notification was refused because the kernel does not have its object or its mount. */
export function isExpectedRefusal(error: unknown): boolean {
  return EXPECTED.includes(systemErrorCode(error))
}

/** Whether the kernel has no memory for the pages that were to be stored. */
export function isOutOfMemory(error: unknown): boolean {
  return systemErrorCode(error) === 'ENOMEM'
}

export function warnOfRefusal(error: unknown, log: Log): void {
  log.warn({ err: error }, 'the kernel refused a notification')
}
