/** What a snapshot store has in its root directory: the database and the directories. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'
import { SnapshotDatabase } from './snapshot-database.js'
import { SnapshotDirectories } from './snapshot-directories.js'

export function databasePath(root: string): string {
  return join(root, 'snapshots.db')
}

/**
 * Opens the database of a root. Throws as `SnapshotDatabase.open`, and `internal` where the file is
 * missing or empty although there are snapshots: a new one would disown all of their directories.
 */
export async function openDatabase(root: string): Promise<SnapshotDatabase> {
  const path = databasePath(root)
  const sizeBytes = (await stat(path).catch(() => undefined))?.size ?? 0
  if (sizeBytes === 0 && (await SnapshotDirectories.lastId(root)) > 0) {
    throw new SnapshotterError(
      'internal',
      `open ${path}: it is missing or empty, but there are directories of snapshots`,
    )
  }
  return SnapshotDatabase.open(path)
}

/** Whether the database of a root can be opened and read now. */
export async function isReadable(root: string): Promise<boolean> {
  try {
    const database = await openDatabase(root)
    try {
      for (const snapshot of database.all()) void snapshot
      return true
    } finally {
      database.close()
    }
  } catch {
    return false
  }
}

/** Creates what is missing. */
export async function openDirectories(
  root: string,
): Promise<{ directories: SnapshotDirectories; emptyDir: string }> {
  const directories = await SnapshotDirectories.open(root)
  const emptyDir = join(root, 'empty')
  await mkdir(emptyDir, { recursive: true, mode: 0o755 })
  return { directories, emptyDir }
}
