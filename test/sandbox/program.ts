/** Runs a program to its end with a deadline, and captures its output. */
import { spawn } from 'node:child_process'

export interface ProgramOptions {
  /** Default 120,000. At the deadline the program gets SIGKILL and the run fails. */
  readonly timeoutMs?: number
  readonly cwd?: string
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>
  /** The program's standard input; default empty. */
  readonly input?: string | Uint8Array
  /** How the output becomes text: `latin1` keeps every byte. Default `utf8`. */
  readonly encoding?: 'utf8' | 'latin1'
}

export interface ProgramResult {
  readonly stdout: string
  readonly stderr: string
  /** As a shell reports it: 128 plus the signal's number if a signal ended the program. */
  readonly exitCode: number
  readonly elapsedMs: number
}

/** A failed program. The message has its command, the reason and the end of its output. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError'
  readonly result: ProgramResult

  constructor(command: readonly string[], result: ProgramResult, why: string) {
    super(`${command.join(' ')}: ${why}\n${tailOf(result.stdout)}${tailOf(result.stderr)}`)
    this.result = result
  }
}

/** Runs `command` and throws `ProgramError` unless it exits with 0. */
export async function runProgram(
  command: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const result = await tryProgram(command, options)
  if (result.exitCode === 0) return result
  throw new ProgramError(command, result, `exit status ${result.exitCode}`)
}

/**
 * Runs `command` and returns its result, even if its exit status is not 0. Throws if the program
 * cannot be started or misses its deadline.
 */
export async function tryProgram(
  command: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { timeoutMs = 120_000, cwd, env, input, encoding = 'utf8' } = options
  const [file = '', ...args] = command
  const startedMs = performance.now()
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  const state = { late: false }
  const exitCode = await new Promise<number>((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
    const deadline = setTimeout(() => {
      state.late = true
      child.kill('SIGKILL')
    }, timeoutMs)
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    // A program may end without reading its input (EPIPE). Only its exit status counts.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    child.once('error', (error) => {
      clearTimeout(deadline)
      reject(new Error(`cannot start ${file}: ${error.message}`, { cause: error }))
    })
    child.once('close', (code, signal) => {
      clearTimeout(deadline)
      resolve(code ?? (signal === 'SIGKILL' ? 137 : 143))
    })
  })
  const result = {
    stdout: Buffer.concat(stdout).toString(encoding),
    stderr: Buffer.concat(stderr).toString(),
    exitCode,
    elapsedMs: performance.now() - startedMs,
  }
  if (state.late) throw new ProgramError(command, result, `still running after ${timeoutMs} ms`)
  return result
}

function tailOf(output: string): string {
  return output.length > 4000 ? `…${output.slice(-4000)}` : output
}
