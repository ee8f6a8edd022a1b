/** The peak of a process's resident memory. */
import { readFileSync } from 'node:fs'

/**
 * VmHWM of proc_pid_status(5) in bytes, including threads. Returns 0 if there is no such process.
 */
export function peakRssBytesOf(pid: number): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib ?? 0) * 1024
  } catch {
    // The process has just ended.
    return 0
  }
}
