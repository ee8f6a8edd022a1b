/** Bytes that differ from build to build of an image and that no program needs. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

const VOLATILE = [
  'etc/resolv.conf',
  'var/cache/ldconfig/aux-cache',
  'var/log/alternatives.log',
  'var/log/apt/history.log',
  'var/log/apt/term.log',
  'var/log/dpkg.log',
  'var/cache/apt/pkgcache.bin',
  'var/cache/apt/srcpkgcache.bin',
]

export function removeVolatile(rootfs: string): void {
  for (const path of VOLATILE) rmSync(join(rootfs, path), { force: true, recursive: true })
}
