/** The sum of the sizes of all files in a folder. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
