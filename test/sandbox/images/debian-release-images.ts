/** One application in three Debian releases: the versions that a registry keeps over the years. */
import type { DebianImage } from './debian-image.js'

const RELEASES = ['bullseye', 'bookworm', 'trixie'] as const

/** Images with the Python of each release, from the oldest release to the newest. */
export function debianReleases(): readonly DebianImage[] {
  return RELEASES.map((release) => {
    return { name: `python-${release}`, release, packages: ['python3'], command: ['python3'] }
  })
}
