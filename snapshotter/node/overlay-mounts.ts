/** The overlay mounts of this machine: which directories containers use. */
import { readFile } from 'node:fs/promises'

export interface OverlayMount {
  readonly mountpoint: string
  /**
   * The paths that mount(2) was given. In a long list, containerd makes them relative to a common
   * directory.
   */
  readonly lowerDirectories: readonly string[]
  /** Undefined for a view: it has none. */
  readonly upperDirectory: string | undefined
}

/** All overlays that this mount namespace sees, from proc_pid_mountinfo(5). */
export async function overlayMounts(): Promise<OverlayMount[]> {
  return overlayMountsFrom(await readFile('/proc/self/mountinfo', 'latin1'))
}

/** The overlays in a mount table. */
export function overlayMountsFrom(table: string): OverlayMount[] {
  return table.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ', 2)
    const [type, , superOptions = ''] = after.split(' ')
    const mountpoint = before.split(' ')[4]
    if (type !== 'overlay' || mountpoint === undefined) return []
    const options = superOptions.split(',')
    return [
      {
        mountpoint: unescaped(mountpoint),
        lowerDirectories: [
          ...valuesOf(options, 'lowerdir=').flatMap((value) => value.split(':')),
          ...valuesOf(options, 'lowerdir+='),
        ].map(unescaped),
        upperDirectory: valuesOf(options, 'upperdir=').map(unescaped)[0],
      },
    ]
  })
}

function valuesOf(options: readonly string[], prefix: string): string[] {
  return options.flatMap((option) =>
    option.startsWith(prefix) ? [option.slice(prefix.length)] : [],
  )
}

/** The kernel writes space, tab, newline, comma and backslash in octal. */
function unescaped(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
