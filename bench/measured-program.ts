/** Runs a program and watches its memory: the peak of its resident set, as the kernel keeps it. */
import { spawn } from 'node:child_process'
import { peakRssBytesOf } from './peak-memory.js'

export interface MeasuredRun {
  readonly elapsedMs: number
  /** VmHWM of the process, threads included, as last seen before it ended (asked every 20 ms). */
  readonly peakRssBytes: number
  readonly stdout: string
}

/** Throws, with the program's error output, unless it exits with 0 within `timeoutMs`. */
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
