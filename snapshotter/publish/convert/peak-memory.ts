/** The most memory that this process has had resident. */
import { readFileSync } from 'node:fs'

/**
 * Bytes, since the program began. From proc(5): what getrusage(2) says begins with the memory of
 * whoever started the program, which a large parent has more of than this will ever need.
 */
export function peakRssBytes(): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(processStatus())?.[1]
  return (kib === undefined ? process.resourceUsage().maxRSS : Number(kib)) * 1024
}

/** Empty where /proc is not mounted. */
function processStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1')
  } catch {
    return ''
  }
}
