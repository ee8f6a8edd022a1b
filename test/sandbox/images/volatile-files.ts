/**
 * What differs from build to build of an image. What no program needs goes, the day of a password is
 * the epoch's. One difference stays: Java's keystore of certificates says when each was added.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUILD_EPOCH_SEC } from './image-cache.js'

const VOLATILE = [
  'etc/resolv.conf',
  'var/cache/fontconfig',
  'var/cache/ldconfig/aux-cache',
  'var/log/alternatives.log',
  'var/log/apt/history.log',
  'var/log/apt/term.log',
  'var/log/dpkg.log',
  'var/cache/apt/pkgcache.bin',
  'var/cache/apt/srcpkgcache.bin',
]

/** shadow(5): name and password, then the day of its last change, counted from 1970. */
const PASSWORD_DAY = /^([^:\n]*:[^:\n]*:)\d+(?=:)/gm
const EPOCH_DAY = Math.floor(BUILD_EPOCH_SEC / 86_400)

export function removeVolatile(rootfs: string): void {
  for (const path of VOLATILE) rmSync(join(rootfs, path), { force: true, recursive: true })
  for (const name of ['shadow', 'shadow-']) {
    const path = join(rootfs, 'etc', name)
    if (!existsSync(path)) continue
    const text = readFileSync(path, 'latin1')
    // Written in place: owner and mode stay.
    writeFileSync(path, text.replace(PASSWORD_DAY, `$1${EPOCH_DAY}`), 'latin1')
  }
}
