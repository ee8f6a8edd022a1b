import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Returns a text that names the programs that are not on PATH, or undefined if all are. */
export function missingPrograms(programs: readonly string[]): string | undefined {
  const missing = programs.filter((program) => !isOnPath(program))
  if (missing.length === 0) return undefined
  return `not on PATH: ${missing.join(', ')}`
}

function isOnPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
