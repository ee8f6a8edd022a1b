/**
 * The priority of a standby. It loads its program at a low priority, so that containers that start
 * meanwhile are not slowed down. All its threads get their priority back before it serves.
 */
import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** The number that is added to the nice value of a standby; see nice(2). */
const STANDBY_NICE = 10

/**
 * Lowers the priority of this thread, and of threads that it starts. Returns a function that gives
 * all threads of the process the earlier priority.
 */
export function lowerPriority(): () => void {
  const before = getPriority()
  setPriority(before + STANDBY_NICE)
  return () => {
    // setpriority(2) concerns one thread on Linux, and a thread inherits the value of its maker.
    for (const thread of readdirSync('/proc/self/task')) {
      try {
        setPriority(Number(thread), before)
      } catch {
        // The thread has ended meanwhile. Serving does not depend on its priority.
      }
    }
  }
}
