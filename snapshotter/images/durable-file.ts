/**
 * Writes files that are either whole or absent. A file is written under a temporary name in the
 * same folder, synced, and renamed. A power cut or a kill leaves at most the temporary file, whose
 * name begins with a dot.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, chmod, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemErrorCode } from '../../index-format/system-error.js'

/**
 * Writes `path`, which is on disk when this resolves. `fill` writes the content. An existing file
 * is replaced. Rejects with the errors of `fill` and the filesystem.
 */
export async function writeDurably(
  path: string,
  fill: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.partial`)
  try {
    const file = await open(temporary, 'wx', 0o644)
    try {
      await fill(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/**
 * Moves the finished file `from` to `path` and replaces an existing file. Returns false, and moves
 * nothing, where the two are on different filesystems.
 */
export async function moveDurably(from: string, path: string): Promise<boolean> {
  const file = await open(from, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await rename(from, path)
  } catch (cause) {
    if (systemErrorCode(cause) === 'EXDEV') return false
    throw cause
  }
  await chmod(path, 0o644)
  await syncFolder(dirname(path))
  return true
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
