/**
 * Files that differ between two builds of an image. Those that no program needs are removed. The
 * day of the last change of each password is set to that of the epoch. One difference remains:
 * Java's keystore of certificates contains the time at which each certificate was added.
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
    // Writing in place keeps owner and mode.
    writeFileSync(path, text.replace(PASSWORD_DAY, `$1${EPOCH_DAY}`), 'latin1')
  }
}
