/** Runs a program and measures the peak of its resident set, as the kernel reports it. */
import { spawn } from 'node:child_process'
import { peakRssBytesOf } from './peak-memory.js'

export interface MeasuredRun {
  readonly elapsedMs: number
  /** VmHWM of the process with its threads, as last read before its end. It is read every 20 ms. */
  readonly peakRssBytes: number
  readonly stdout: string
}

/**
 * Runs a program. Throws an error with its error output unless it exits with 0 within `timeoutMs`.
 */
export async function measureProgram(
  command: readonly string[],
  timeoutMs = 1_800_000,
): Promise<MeasuredRun> {
  const [file = '', ...args] = command
  const startedMs = performance.now()
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const { pid } = child
  let peakRssBytes = 0
  const sampling = setInterval(() => {
    if (pid !== undefined) peakRssBytes = Math.max(peakRssBytes, peakRssBytesOf(pid))
  }, 20)
  const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    if (status !== 0) {
      throw new Error(`${command.join(' ')}: exit status ${status ?? 'signal'}\n${stderr}`)
    }
    return { elapsedMs: performance.now() - startedMs, peakRssBytes, stdout }
  } finally {
    clearInterval(sampling)
    clearTimeout(deadline)
  }
}
