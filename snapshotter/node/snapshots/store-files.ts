/** The parts of a snapshot store in its root directory: the database and the directories. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'
import { SnapshotDatabase } from './snapshot-database.js'
import { SnapshotDirectories } from './snapshot-directories.js'

export function databasePath(root: string): string {
  return join(root, 'snapshots.db')
}

/**
 * Opens the database of a root. Throws as `SnapshotDatabase.open`. Throws `internal` if the file is
 * missing or empty although snapshots have directories: a new database would know none of them.
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

/** Opens the snapshots' directories and the empty directory. Creates those that are missing. */
export async function openDirectories(
  root: string,
): Promise<{ directories: SnapshotDirectories; emptyDir: string }> {
  const directories = await SnapshotDirectories.open(root)
  const emptyDir = join(root, 'empty')
  await mkdir(emptyDir, { recursive: true, mode: 0o755 })
  return { directories, emptyDir }
}
