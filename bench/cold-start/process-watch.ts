/**
 * CPU time and peak memory of the processes of a start. Long-lived processes are read before and
 * after the start. The container's processes may be gone before the end, so they are read every few
 * milliseconds. If such a process ends by itself, up to one interval of its time is missing.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { peakRssBytesOf } from '../peak-memory.js'

const INTERVAL_MS = 20
/** The value of sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100

interface Usage {
  readonly cpuSeconds: number
  readonly parent: number
}

export interface WatchedUsage {
  readonly cpuSeconds: Readonly<Record<string, number>>
  readonly peakRssBytes: Readonly<Record<string, number>>
}

export class ProcessWatch {
  /** CPU seconds before the start, by process (`NAME PID`). */
  readonly #before = new Map<string, number>()
  /** CPU seconds when last read, by process. */
  readonly #last = new Map<string, number>()
  readonly #peakRssBytes = new Map<string, number>()
  readonly #processes: () => Readonly<Record<string, number>>
  readonly #ctrBefore: number
  readonly #timer: NodeJS.Timeout
  #initPidFile: string | undefined
  #ctrPid: number | undefined

  /**
   * Starts watching. `processes` returns the long-lived processes (PID by name) and may return more
   * of them later. The caller stops it.
   */
  static start(processes: () => Readonly<Record<string, number>>): ProcessWatch {
    return new ProcessWatch(processes)
  }

  private constructor(processes: () => Readonly<Record<string, number>>) {
    this.#processes = processes
    for (const [name, pid] of Object.entries(processes())) {
      this.#before.set(`${name} ${pid}`, usageOf(pid)?.cpuSeconds ?? 0)
    }
    this.#ctrBefore = childSeconds()
    this.#timer = setInterval(() => {
      this.#lookAtContainer()
    }, INTERVAL_MS)
  }

  /** Watches also the container `id` and the attached `ctr` from now on. */
  watchContainer(containerdDirectory: string, id: string, ctrPid: number): void {
    const bundle = join(containerdDirectory, 'state/io.containerd.runtime.v2.task/default', id)
    this.#initPidFile = join(bundle, 'init.pid')
    this.#ctrPid = ctrPid
  }

  /**
   * Ends watching and returns the sums by process name: `ctr`, `shim` (with runc), `program`, and
   * the long-lived processes. Idempotent.
   */
  stop(): WatchedUsage {
    clearInterval(this.#timer)
    this.#lookAtContainer()
    for (const [name, pid] of Object.entries(this.#processes())) this.#look(name, pid)
    const cpuSeconds: Record<string, number> = {}
    for (const [key, seconds] of this.#last) {
      const name = nameOf(key)
      cpuSeconds[name] = (cpuSeconds[name] ?? 0) + seconds - (this.#before.get(key) ?? 0)
    }
    // Every other `ctr` was a child of this process and has been waited for. Only the attached one
    // still runs.
    const attached = this.#ctrPid === undefined ? undefined : usageOf(this.#ctrPid)
    cpuSeconds['ctr'] = childSeconds() - this.#ctrBefore + (attached?.cpuSeconds ?? 0)
    const peakRssBytes: Record<string, number> = {}
    for (const [key, bytes] of this.#peakRssBytes) {
      peakRssBytes[nameOf(key)] = Math.max(peakRssBytes[nameOf(key)] ?? 0, bytes)
    }
    return { cpuSeconds, peakRssBytes }
  }

  #lookAtContainer(): void {
    if (this.#ctrPid !== undefined) this.#lookAtMemory('ctr', this.#ctrPid)
    if (this.#initPidFile === undefined) return
    const program = Number(textOf(this.#initPidFile) ?? 0)
    if (program === 0) return
    const parent = this.#look('program', program)?.parent
    // The parent of a container's first process is its shim, which adopts processes that runc
    // leaves.
    if (parent !== undefined && parent > 1) this.#look('shim', parent)
  }

  #look(name: string, pid: number): Usage | undefined {
    const usage = usageOf(pid)
    if (usage === undefined) return undefined
    this.#last.set(`${name} ${pid}`, usage.cpuSeconds)
    this.#lookAtMemory(name, pid)
    return usage
  }

  #lookAtMemory(name: string, pid: number): void {
    const key = `${name} ${pid}`
    const bytes = peakRssBytesOf(pid)
    this.#peakRssBytes.set(key, Math.max(this.#peakRssBytes.get(key) ?? 0, bytes))
  }
}

/** Strips PIDs from the key, so that several processes of one program are one row. */
function nameOf(key: string): string {
  return key.replace(/(?: \d+)+$/, '')
}

/**
 * CPU time of a process, its threads and the children that it has waited for. Returns undefined if
 * the process is gone.
 */
function usageOf(pid: number): Usage | undefined {
  const fields = statFields(String(pid))
  if (fields === undefined) return undefined
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number)
  const ticks = (utime ?? 0) + (stime ?? 0) + (cutime ?? 0) + (cstime ?? 0)
  return { cpuSeconds: ticks / TICKS_PER_SECOND, parent: Number(fields[1]) }
}

/** CPU time of the programs that this process has run to their end. */
function childSeconds(): number {
  const [cutime, cstime] = (statFields('self') ?? []).slice(13, 15).map(Number)
  return ((cutime ?? 0) + (cstime ?? 0)) / TICKS_PER_SECOND
}

/**
 * Fields of proc_pid_stat(5) from the third one, the state. The second field may contain any
 * character.
 */
function statFields(process: string): string[] | undefined {
  const text = textOf(`/proc/${process}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // The process has ended in the meantime.
    return undefined
  }
}
