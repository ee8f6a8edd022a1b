/** Tells an index file from anything else by its first bytes. */
import { open } from 'node:fs/promises'

/** The first bytes of a SQLite file (SQLite's fileformat2.html, 1.3). */
const SQLITE_MAGIC = 'SQLite format 3\0'

/** Whether the file begins as every SQLite file does. Throws the system's error. */
export async function beginsAsSqlite(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const head = Buffer.alloc(SQLITE_MAGIC.length)
    await file.read(head, 0, head.length, 0)
    return head.toString('latin1') === SQLITE_MAGIC
  } finally {
    await file.close()
  }
}
