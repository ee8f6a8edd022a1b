/** What a folder takes: the sizes of all files in it. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
