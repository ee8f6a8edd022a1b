/** One image as three Debian releases have it: what a registry keeps of an application over the years. */
import type { DebianImage } from './debian-image.js'

const RELEASES = ['bullseye', 'bookworm', 'trixie'] as const

/** Python as of each release, from the oldest to the newest. */
export function debianReleases(): readonly DebianImage[] {
  return RELEASES.map((release) => {
    return { name: `python-${release}`, release, packages: ['python3'], command: ['python3'] }
  })
}
