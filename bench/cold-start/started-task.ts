/**
 * A container's task, started with an attached `ctr`. It waits until the task's program is ready,
 * and ends the task.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Containerd } from '../../test/sandbox/containerd.js'
import { tryProgram } from '../../test/sandbox/program.js'
import type { Readiness } from '../workloads/workload.js'

/** A program that is not ready after this time counts as failed. */
const READY_TIMEOUT_MS = 600_000
const POLL_MS = 10
/** Output beyond this size is ignored: a program prints little until it is ready. */
const MAX_OUTPUT_BYTES = 16 * 1024 ** 2

export class StartedTask {
  readonly #containerd: Containerd
  readonly #id: string
  readonly #ctr: ChildProcess
  readonly #ended: Promise<number>
  #stdout = ''
  #stderr = ''
  #heard: () => void = () => undefined

  /** Starts the task of the container `id`. The caller ends it. */
  static start(containerd: Containerd, id: string): StartedTask {
    return new StartedTask(containerd, id)
  }

  private constructor(containerd: Containerd, id: string) {
    this.#containerd = containerd
    this.#id = id
    const [file = '', ...args] = containerd.ctrCommand(['tasks', 'start', id])
    this.#ctr = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#ctr.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#stdout.length < MAX_OUTPUT_BYTES) this.#stdout += text
      this.#heard()
    })
    this.#ctr.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#stderr.length < MAX_OUTPUT_BYTES) this.#stderr += text
      this.#heard()
    })
    this.#ended = new Promise((resolve) => {
      this.#ctr.once('error', () => {
        resolve(127)
      })
      this.#ctr.once('close', (code) => {
        resolve(code ?? 137)
      })
    })
  }

  /** PID of the attached `ctr`. */
  get ctrPid(): number {
    return this.#ctr.pid ?? -1
  }

  /**
   * Waits until the program is ready. Returns what must be the same for every contender: its output
   * until its end, the body of the answer, or the line. Throws if the program ends earlier or is
   * not ready in time.
   */
  async ready(readiness: Readiness): Promise<string> {
    const late = AbortSignal.timeout(READY_TIMEOUT_MS)
    switch (readiness.kind) {
      case 'exit':
        await this.#exited(late)
        return this.#stdout
      case 'line':
        return this.#printed(readiness.text, late)
      case 'http':
        return this.#answered(readiness.url, late)
    }
  }

  /** Kills the program if it runs, and removes the container. */
  async end(): Promise<void> {
    const kill = this.#containerd.ctrCommand(['tasks', 'kill', '-a', '-s', 'SIGKILL', this.#id])
    await tryProgram(kill, { timeoutMs: 20_000 })
    await this.#ended
    await this.#containerd.ctr(['containers', 'rm', this.#id])
  }

  async #exited(late: AbortSignal): Promise<void> {
    const code = await Promise.race([this.#ended, abortOf(late)])
    if (code !== 0) throw this.#failure(`exit status ${code}`)
  }

  async #printed(text: string, late: AbortSignal): Promise<string> {
    const seen = (): boolean => this.#stdout.includes(text) || this.#stderr.includes(text)
    const printed = new Promise<string>((resolve) => {
      this.#heard = () => {
        if (seen()) resolve(text)
      }
      this.#heard()
    })
    return Promise.race([printed, this.#endedEarly(), abortOf(late)])
  }

  async #answered(url: string, late: AbortSignal): Promise<string> {
    const state = { over: false }
    const polling = async (): Promise<string> => {
      while (!state.over) {
        const body = await answerOf(url)
        if (body !== undefined) return body
        await sleep(POLL_MS)
      }
      throw this.#failure('nothing answered')
    }
    try {
      return await Promise.race([polling(), this.#endedEarly(), abortOf(late)])
    } finally {
      state.over = true
    }
  }

  async #endedEarly(): Promise<never> {
    const code = await this.#ended
    throw this.#failure(`exit status ${code} before it was ready`)
  }

  #failure(why: string): Error {
    const said = `${this.#stdout.slice(-2000)}${this.#stderr.slice(-2000)}`
    return new Error(`container ${this.#id}: ${why}\n${said}`)
  }
}

/**
 * Requests `url`. Returns the body of an answer with status 200, or undefined for anything else.
 */
export async function answerOf(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    const body = await answer.text()
    return answer.status === 200 ? body : undefined
  } catch {
    // The server does not listen yet, or closes the connection.
    return undefined
  }
}

async function abortOf(late: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    late.addEventListener('abort', () => {
      reject(new Error(`not ready after ${READY_TIMEOUT_MS} ms`))
    })
  })
}
