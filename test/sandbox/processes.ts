/** Processes found by what they were started with: the ones that outlive their parent on purpose. */
import { readFileSync, readdirSync } from 'node:fs'

/** PIDs of the processes with an argument that is `directory` or a path below it; never our own. */
export function processesNaming(directory: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) =>
      argumentsOf(pid).some((word) => word === directory || word.includes(`${directory}/`)),
    )
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    // The process has ended since it was listed.
    return []
  }
}
