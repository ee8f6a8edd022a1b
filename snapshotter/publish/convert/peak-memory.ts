/** The peak resident memory of this process. */
import { readFileSync } from 'node:fs'

/**
 * Peak in bytes since the program began, from /proc (proc(5)). The peak of getrusage(2) starts with
 * the memory of the parent process, which may be larger than this program ever gets; it is used
 * only if /proc is not mounted.
 */
export function peakRssBytes(): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(processStatus())?.[1]
  return (kib === undefined ? process.resourceUsage().maxRSS : Number(kib)) * 1024
}

/** The text of /proc/self/status; empty if /proc is not mounted. */
function processStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1')
  } catch {
    return ''
  }
}
