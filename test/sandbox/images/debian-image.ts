/**
 * Images made of real Debian packages the way application images are made: one base layer that
 * many images share, one layer with what `apt-get install` changed. The machine's own apt sources
 * say where the packages come from.
 */
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram, tryProgram } from '../program.js'
import { BUILD_EPOCH_SEC, type ImageCache, type ImageRecipe, clampTimes } from './image-cache.js'

export interface DebianImage {
  readonly name: string
  /** Debian packages on top of the base; none for the base itself. */
  readonly packages: readonly string[]
  /** What a container runs by default. */
  readonly command: readonly string[]
}

/** The images that tests, demo and benchmarks use. */
export const DEBIAN_IMAGES = {
  python: { name: 'python', packages: ['python3'], command: ['python3'] },
  node: { name: 'node', packages: ['nodejs'], command: ['node'] },
  nginx: { name: 'nginx', packages: ['nginx-light'], command: ['nginx', '-g', 'daemon off;'] },
  tools: { name: 'tools', packages: ['libcap2-bin'], command: ['/bin/sh'] },
  redis: { name: 'redis', packages: ['redis-server'], command: ['redis-server'] },
} as const satisfies Record<string, DebianImage>

/** Change it whenever images are built differently: it is part of what the cache knows them by. */
const REVISION = 'debian 2'

/** Bytes that differ from build to build and that no program needs. */
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

/** `layout:tag` of a Debian image, which is built first where it is not there. Needs root. */
export async function debianImage(cache: ImageCache, image: DebianImage): Promise<string> {
  const sources = await aptSources()
  const base = await cache.image(baseRecipe(sources))
  if (image.packages.length === 0) return base
  return cache.image({
    name: image.name,
    ingredients: [REVISION, ...sources, ...image.packages, '--', ...image.command],
    build: async (work) => {
      await work.from(base)
      await work.addChanges((rootfs) => installPackages(rootfs, image.packages))
      await work.configure(image.command)
    },
  })
}

function baseRecipe(sources: readonly string[]): ImageRecipe {
  return {
    name: 'debian',
    ingredients: [REVISION, ...sources],
    build: async (work) => {
      const archive = join(work.directory, 'base.tar')
      await runProgram(['mmdebstrap', '--variant=apt', '--format=tar', codename(), archive, '-'], {
        input: `${sources.join('\n')}\n`,
        env: { SOURCE_DATE_EPOCH: String(BUILD_EPOCH_SEC) },
        timeoutMs: 600_000,
      })
      await work.fromScratch()
      await work.addArchive(archive)
      await work.configure(['/bin/sh'])
    },
  }
}

async function installPackages(rootfs: string, packages: readonly string[]): Promise<void> {
  cpSync('/etc/resolv.conf', join(rootfs, 'etc/resolv.conf'), { dereference: true })
  const script = [
    'set -e',
    'apt-get -q update',
    `apt-get -qy --no-install-recommends install ${packages.join(' ')}`,
    'apt-get clean',
    'find /var/lib/apt/lists -type f -delete',
  ]
  const proc = join(rootfs, 'proc')
  await runProgram(['mount', '-t', 'proc', 'proc', proc])
  try {
    // policy-rc.d(8): 101 keeps packages from starting services in the chroot.
    const policy = join(rootfs, 'usr/sbin/policy-rc.d')
    await runProgram([
      'sh',
      '-c',
      `printf '#!/bin/sh\\nexit 101\\n' >${policy}; chmod 755 ${policy}`,
    ])
    await runProgram(['chroot', rootfs, 'sh', '-c', script.join('\n')], {
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      timeoutMs: 600_000,
    })
    rmSync(policy)
  } finally {
    await runProgram(['umount', proc])
  }
  for (const path of VOLATILE) rmSync(join(rootfs, path), { force: true })
  await clampTimes(rootfs)
}

/** One-line apt sources of this Debian release, as the machine has them. */
async function aptSources(): Promise<string[]> {
  const format = 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
  const { stdout } = await tryProgram([
    'apt-get',
    'indextargets',
    '--format',
    format,
    'Identifier: Packages',
  ])
  const release = new RegExp(`^deb \\S+ ${codename()}(-updates|-security)? main$`)
  const sources = [...new Set(stdout.split('\n').filter((line) => release.test(line)))].sort()
  if (sources.length === 0) {
    throw new Error(`build a Debian image: this machine has no apt sources for ${codename()}`)
  }
  return sources
}

/** VERSION_CODENAME of os-release(5). */
function codename(): string {
  const file = '/etc/os-release'
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1]
  if (name === undefined) throw new Error(`${file} does not name a Debian release`)
  return name
}
