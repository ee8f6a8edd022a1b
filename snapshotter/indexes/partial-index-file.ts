/** The file of a partial index. It has the size of the whole index, and zeros for missing pages. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { INDEX_PAGE_BYTES as PAGE_BYTES, type StartupPages } from '../../index-format/index.js'

const CHUNK_BYTES = 1024 * 1024
const NOTHING = Buffer.alloc(PAGE_BYTES)

/**
 * Writes a new file at `path`. Throws the filesystem's errors. Synchronous, because containerd
 * waits for it, and it takes a millisecond.
 */
export function writePartialIndex(path: string, sizeBytes: number, pages: StartupPages): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    ftruncateSync(file, sizeBytes)
    for (const { offset, bytes } of runsOf(pages)) writeWhole(file, bytes, offset)
  } finally {
    closeSync(file)
  }
}

/** Joins neighbouring pages, so that one call writes them. */
function* runsOf({
  numbers,
  bytes,
}: StartupPages): Generator<{ offset: number; bytes: Uint8Array }> {
  let from = 0
  for (let at = 1; at <= numbers.length; at++) {
    const first = numbers[from] ?? 0
    if (numbers[at] === first + at - from) continue
    const run = bytes.subarray(from * PAGE_BYTES, at * PAGE_BYTES)
    yield { offset: (first - 1) * PAGE_BYTES, bytes: run }
    from = at
  }
}

function writeWhole(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) {
    at += writeSync(file, bytes, at, bytes.length - at, offset + at)
  }
}

/** Whether every page of the partial index equals the whole index's page or is zero. */
export async function isPartOf(partialPath: string, path: string): Promise<boolean> {
  const [partial, whole] = [await open(partialPath, 'r'), await open(path, 'r')]
  try {
    const [mine, theirs] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)]
    for (let offset = 0; ; offset += CHUNK_BYTES) {
      const { bytesRead } = await partial.read(mine, 0, CHUNK_BYTES, offset)
      if (bytesRead === 0) return true
      await whole.read(theirs, 0, CHUNK_BYTES, offset)
      for (let at = 0; at < bytesRead; at += PAGE_BYTES) {
        const page = mine.subarray(at, at + PAGE_BYTES)
        if (!page.equals(theirs.subarray(at, at + PAGE_BYTES)) && !page.equals(NOTHING))
          return false
      }
    }
  } finally {
    await partial.close()
    await whole.close()
  }
}
