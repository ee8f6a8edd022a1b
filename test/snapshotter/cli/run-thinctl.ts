/** Runs thinctl as a person would: as a process of its own, with its output and its exit status. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ended {
  readonly status: number | null
  readonly out: Buffer
  readonly err: string
}

export const THINCTL = fileURLToPath(
  new URL('../../../snapshotter/cli/thinctl.js', import.meta.url),
)
/** Long, because a start takes seconds on a busy machine. */
const DEADLINE_MS = 90_000

/** Resolves when the program has ended, with any exit status. */
export async function runThinctl(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [THINCTL, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: DEADLINE_MS,
  })
  const [out, err] = [child.stdout, child.stderr].map((stream) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    return chunks
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { status, out: Buffer.concat(out ?? []), err: Buffer.concat(err ?? []).toString() }
}
