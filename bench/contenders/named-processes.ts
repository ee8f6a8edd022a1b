import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { processesUsing } from '../../test/sandbox/processes.js'

/**
 * PIDs of the processes that use a directory, by the name of their program or script. This looks at
 * every process of the machine, so call it before the clock starts.
 */
export function namedProcesses(directory: string): Record<string, number> {
  const named: Record<string, number> = {}
  for (const pid of processesUsing(directory)) {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const script = words.find((word) => word.endsWith('.js')) ?? words[0] ?? 'unknown'
    const name = basename(script, '.js')
    named[name in named ? `${name} ${pid}` : name] = pid
  }
  return named
}
