/** Reads the mount table, and unmounts everything below a directory. */
import { readFileSync } from 'node:fs'
import { tryProgram } from './program.js'

export interface Mount {
  readonly target: string
  readonly type: string
  readonly options: string
}

/** The mounts on `directory` and below it, in mount order. */
export function mountsBelow(directory: string): Mount[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      // proc(5): mount point is field 5; type and superblock options follow the lone "-".
      const [before = '', after = ''] = line.split(' - ')
      const target = unescaped(before.split(' ')[4] ?? '')
      const [type = '', , options = ''] = after.split(' ')
      const below = target === directory || target.startsWith(`${directory}/`)
      return below ? [{ target, type, options }] : []
    })
}

/**
 * Unmounts everything on `directory` and below, the latest mount first. A busy mount is detached:
 * it disappears when its last user ends. Throws if a mount remains.
 */
export async function unmountBelow(directory: string): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const mounts = mountsBelow(directory).reverse()
    if (mounts.length === 0) return
    for (const mount of mounts) await unmount(mount)
  }
  const left = mountsBelow(directory).map(({ target }) => target)
  if (left.length > 0) throw new Error(`cannot unmount ${left.join(', ')}`)
}

/**
 * `umount -c` does not resolve the path: on a FUSE mount whose server is gone that would never end.
 */
async function unmount({ target, type }: Mount): Promise<void> {
  // MNT_FORCE aborts the FUSE connection, and with it the requests that no server answers any more.
  const force = type.startsWith('fuse') ? ['-f'] : []
  const umount = ['umount', '-c', ...force]
  const { exitCode } = await tryProgram([...umount, target], { timeoutMs: 20_000 })
  if (exitCode !== 0) await tryProgram([...umount, '-l', target], { timeoutMs: 20_000 })
}

/** mountinfo writes space, tab, newline and backslash in octal. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
