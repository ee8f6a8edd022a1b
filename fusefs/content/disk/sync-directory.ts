/** Makes changes of names in a directory survive a power failure. */
import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Throws what open(2) and fsync(2) throw. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
