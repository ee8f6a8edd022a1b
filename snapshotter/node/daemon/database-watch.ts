/** Notices that a snapshot database that could not be read has been repaired. */
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { databasePath, isReadable } from '../snapshots/store-files.js'

const LOOK_EVERY_MS = 1000
/**
 * The database is opened at every look of this number, even if its file has not changed. The file
 * does not change when a full disk gets room again, but the database can then be read.
 */
const OPEN_EVERY_LOOKS = 30

/** Resolves when the database of `root` can be read. Does not keep the process alive. */
export async function databaseReadable(root: string): Promise<void> {
  let seen = await stateOf(root)
  for (let looks = 1; ; looks++) {
    await sleep(LOOK_EVERY_MS, undefined, { ref: false })
    const state = await stateOf(root)
    // Opening the database locks it, and a repair needs that lock. So it is opened rarely.
    if (state === seen && looks % OPEN_EVERY_LOOKS !== 0) continue
    seen = state
    if (await isReadable(root)) return
  }
}

async function stateOf(root: string): Promise<string> {
  const found = await stat(databasePath(root)).catch(() => undefined)
  return found === undefined ? '' : [found.ino, found.size, found.mtimeMs].join()
}
