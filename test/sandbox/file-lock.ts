/** An exclusive lock between processes, held by flock(1). It ends with the process that took it. */
import { spawn } from 'node:child_process'

/** Runs `work` while holding the lock on `file`, which is created if it is missing. */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  // cat ends when its standard input closes, at the latest when this process dies. The lock ends
  // with it.
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => {
    holder.once('close', () => {
      resolve()
    })
  })
  await new Promise<void>((resolve, reject) => {
    holder.once('error', reject)
    holder.stdout.once('data', () => {
      resolve()
    })
    holder.once('close', () => {
      reject(new Error(`flock ${file} ended without the lock`))
    })
  })
  try {
    return await work()
  } finally {
    holder.stdin.end()
    await ended
  }
}
