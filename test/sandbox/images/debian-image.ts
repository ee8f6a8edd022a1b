/**
 * Images made of real Debian packages, structured like application images: a base layer that many
 * images share, and layers with the changes of `apt-get install`. The packages come from the apt
 * sources of this machine.
 */
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runProgram } from '../program.js'
import { releaseRecipe } from './debian-release.js'
import { type ImageCache, clampTimes } from './image-cache.js'
import { removeVolatile } from './volatile-files.js'

export interface DebianImage {
  readonly name: string
  /** Debian packages to install on top of `from`; empty for the base image itself. */
  readonly packages: readonly string[]
  /** The command that a container runs by default. */
  readonly command: readonly string[]
  /** The image to build on; default the base image of `release`. */
  readonly from?: DebianImage
  /**
   * Code name of the Debian release whose base image to build on, if `from` is undefined. Default:
   * this machine's release.
   */
  readonly release?: string
  /** Shell lines to run in the root filesystem before the packages are installed, and after. */
  readonly before?: readonly string[]
  readonly after?: readonly string[]
  /** Executable files to add at the end: text by path below the root. */
  readonly files?: Readonly<Record<string, string>>
}

/** Images that the tests and the demo use. */
export const DEBIAN_IMAGES = {
  python: { name: 'python', packages: ['python3'], command: ['python3'] },
  node: { name: 'node', packages: ['nodejs'], command: ['node'] },
  nginx: { name: 'nginx', packages: ['nginx-light'], command: ['nginx', '-g', 'daemon off;'] },
  tools: { name: 'tools', packages: ['libcap2-bin'], command: ['/bin/sh'] },
  redis: { name: 'redis', packages: ['redis-server'], command: ['redis-server'] },
} as const satisfies Record<string, DebianImage>

/** Change this whenever images are built differently: it is part of their key in the cache. */
const REVISION = 'debian 4'

/** Long enough for an installation of gigabytes on a busy machine. */
const INSTALL_TIMEOUT_MS = 1_800_000

/**
 * Returns `layout:tag` of a Debian image. Builds the image first if the cache does not have it.
 * Needs root.
 */
export async function debianImage(cache: ImageCache, image: DebianImage): Promise<string> {
  const { name, packages, command, before = [], after = [], files = {} } = image
  const base =
    image.from === undefined
      ? await cache.image(await releaseRecipe(image.release))
      : await debianImage(cache, image.from)
  if (packages.length === 0) return base
  // The tag contains a digest of everything that the base is made from.
  const baseTag = base.slice(base.lastIndexOf(':') + 1)
  const steps = [before, packages, after, command].map((words) => words.join('\n'))
  return cache.image({
    name,
    ingredients: [REVISION, baseTag, ...steps, JSON.stringify(files)],
    build: async (work) => {
      await work.from(base)
      await work.addChanges((rootfs) => install(rootfs, image))
      await work.configure(command)
    },
  })
}

async function install(rootfs: string, image: DebianImage): Promise<void> {
  const { packages, before = [], after = [], files = {} } = image
  cpSync('/etc/resolv.conf', join(rootfs, 'etc/resolv.conf'), { dereference: true })
  const script = [
    'set -e',
    'apt-get -q update',
    ...before,
    `apt-get -qy --no-install-recommends install ${packages.join(' ')}`,
    ...after,
    'apt-get clean',
    'find /var/lib/apt/lists -type f -delete',
  ]
  const proc = join(rootfs, 'proc')
  await runProgram(['mount', '-t', 'proc', 'proc', proc])
  try {
    // Exit status 101 keeps packages from starting services in the chroot, see policy-rc.d(8).
    const policy = join(rootfs, 'usr/sbin/policy-rc.d')
    addProgram(policy, '#!/bin/sh\nexit 101\n')
    await runProgram(['chroot', rootfs, 'sh', '-c', script.join('\n')], {
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      timeoutMs: INSTALL_TIMEOUT_MS,
    })
    rmSync(policy)
  } finally {
    await runProgram(['umount', proc])
  }
  for (const [path, text] of Object.entries(files)) addProgram(join(rootfs, path), text)
  removeVolatile(rootfs)
  await clampTimes(rootfs)
}

function addProgram(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, 0o755)
}
