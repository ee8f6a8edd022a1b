/** Removing what a snapshot has written. */
import type { Dirent } from 'node:fs'
import { readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { systemErrorCode } from '../../index-format/system-error.js'

/**
 * Removes a directory and everything in it, one name after the other and without following symbolic
 * links; one that does not exist is removed already. Where `rm` of node:fs asks lstat(2) for every
 * name and tries every directory before it looks into it, this makes one call for each file and two
 * for each directory: each is a turn of libuv's pool, and a container that goes is often followed by
 * one that wants to start.
 */
export async function removeTree(path: string): Promise<void> {
  const entries = await entriesOf(path)
  if (entries === undefined) return
  for (const entry of entries) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) await removeTree(child)
    else await unlink(child)
  }
  await rmdir(path)
}

async function entriesOf(path: string): Promise<Dirent[] | undefined> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
