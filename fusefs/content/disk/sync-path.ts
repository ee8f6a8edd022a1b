/** Has the disk write a file, or the names of a directory. */
import { closeSync, fsyncSync, openSync } from 'node:fs'

/** fsync(2). Throws what open(2) and fsync(2) throw. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
