/** Syncs a file, or the names in a directory, to the disk. */
import { closeSync, fsyncSync, openSync } from 'node:fs'

/** fsync(2). Throws the errors of open(2) and fsync(2). */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
