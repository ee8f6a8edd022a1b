/**
 * Files that are whole or not there: written beside their place, synced, renamed. A power cut or a
 * kill leaves at most a temporary file, whose name begins with a dot.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, chmod, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemErrorCode } from '../../index-format/system-error.js'

/** Writes `path` with what `fill` puts into the file. An existing file is replaced. */
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

/** Moves a finished file to `path`. False, and nothing has happened: they are on different disks. */
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
