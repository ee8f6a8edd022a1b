/** Runs a system program with a deadline. Its stderr becomes the message of the error. */
import { spawn } from 'node:child_process'
import { FusefsError } from '../errors.js'

export interface CommandOptions {
  /** Descriptors that the program gets as 3, 4, … */
  readonly extraFds?: readonly number[]
  /** The program is killed after this time. Default 20 s. */
  readonly timeoutMs?: number
}

const MAX_OUTPUT_CHARACTERS = 4096

/** Throws `mount-failed` with the program's stderr unless it exits with 0 in time. */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<void> {
  const { extraFds = [], timeoutMs = 20_000 } = options
  const failed = (why: string, cause?: unknown): FusefsError =>
    new FusefsError('mount-failed', `${program} ${args.join(' ')}: ${why}`, { cause })
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...extraFds],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, MAX_OUTPUT_CHARACTERS)
    })
    child.on('error', (cause) => {
      reject(failed(cause.message, cause))
    })
    child.on('close', (status, signal) => {
      if (status === 0) resolve()
      else reject(failed(said.trim() || `ended with ${signal ?? `status ${status ?? -1}`}`))
    })
  })
}
