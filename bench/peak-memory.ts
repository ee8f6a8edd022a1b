/** How much memory a process has had resident at most. */
import { readFileSync } from 'node:fs'

/** Bytes: VmHWM of proc_pid_status(5), threads included; 0 when there is no such process any more. */
export function peakRssBytesOf(pid: number): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib ?? 0) * 1024
  } catch {
    // It has just ended.
    return 0
  }
}
