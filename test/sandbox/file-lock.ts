/** An exclusive lock between processes, held by flock(1); it ends with the process that holds it. */
import { spawn } from 'node:child_process'

/** Runs `work` while holding the lock on `file`, which is made where it is not there. */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  // cat ends, and the lock with it, when its standard input closes: at the latest when we die.
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
