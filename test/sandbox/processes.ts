/** Finds processes by the files they use, because some are designed to outlive their parent. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

/**
 * PIDs of the processes that have `directory` or a path below it among their arguments, or that
 * hold a unix socket bound below it. Excludes this process.
 */
export function processesUsing(directory: string): number[] {
  const sockets = socketsBelow(directory)
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => names(pid, directory) || openFiles(pid).some((file) => sockets.has(file)))
}

/**
 * Names (`socket:[INODE]`) of the unix sockets below a directory. In /proc/net/unix the inode is
 * field 7 and the path is field 8, see proc_net(5).
 */
function socketsBelow(directory: string): Set<string> {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n')
  return new Set(
    lines
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[7]?.startsWith(`${directory}/`) ?? false)
      .map((fields) => `socket:[${fields[6] ?? ''}]`),
  )
}

function names(pid: number, directory: string): boolean {
  const words = orNothing(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
  return words.some((word) => word === directory || word.includes(`${directory}/`))
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  return orNothing(() => readdirSync(folder)).flatMap((fd) =>
    orNothing(() => [readlinkSync(`${folder}/${fd}`)]),
  )
}

/**
 * Returns an empty list when `read` throws: processes and their files come and go during listing.
 */
function orNothing(read: () => string[]): string[] {
  try {
    return read()
  } catch {
    return []
  }
}
