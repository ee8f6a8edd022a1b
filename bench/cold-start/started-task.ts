/** A container's task, started with an attached `ctr`: waits until its program is ready, and ends it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Containerd } from '../../test/sandbox/containerd.js'
import { tryProgram } from '../../test/sandbox/program.js'
import type { Readiness } from '../workloads/workload.js'

/** A program that is not ready by then never will be. */
const READY_TIMEOUT_MS = 600_000
const POLL_MS = 10
/** A program prints little until it is ready; what comes after this is not looked at. */
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

  /** Of the attached `ctr`. */
  get ctrPid(): number {
    return this.#ctr.pid ?? -1
  }

  /**
   * Returns when the program is ready, with what must be the same for every contender: what it
   * printed until its end, the answer, or the line. Throws when it ends before, or takes too long.
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

  /** Kills the program, where it runs, and removes the container. */
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

/** The body of an answer with status 200; undefined for anything else. */
export async function answerOf(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    const body = await answer.text()
    return answer.status === 200 ? body : undefined
  } catch {
    // Nobody listens yet, or closes what it has accepted.
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
