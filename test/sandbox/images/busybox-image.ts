/** A very small useful image: one static program and its links, like Docker Hub's busybox. */
import { join } from 'node:path'
import { runProgram } from '../program.js'
import { aptSources } from './debian-release.js'
import { BUILD_EPOCH_SEC, type ImageCache } from './image-cache.js'

const REVISION = 'busybox 1'

/** Returns `layout:tag` of the image. Builds the image first if the cache does not have it. */
export async function busyboxImage(cache: ImageCache): Promise<string> {
  const sources = await aptSources()
  return cache.image({
    name: 'busybox',
    ingredients: [REVISION, ...sources],
    build: async (work) => {
      const unpacked = join(work.directory, 'unpacked')
      const rootfs = join(work.directory, 'rootfs')
      // The variant `extract` unpacks the package and configures nothing.
      const bootstrap = ['mmdebstrap', '--variant=extract', '--include=busybox-static']
      await runProgram([...bootstrap, '--format=directory', releaseOf(sources), unpacked, '-'], {
        input: `${sources.join('\n')}\n`,
        env: { SOURCE_DATE_EPOCH: String(BUILD_EPOCH_SEC) },
        timeoutMs: 300_000,
      })
      const script = [
        'set -e',
        `mkdir -p ${rootfs}/bin ${rootfs}/etc ${rootfs}/root ${rootfs}/tmp ${rootfs}/usr/bin`,
        `chmod 1777 ${rootfs}/tmp; chmod 700 ${rootfs}/root`,
        `cp -p ${unpacked}/bin/busybox ${rootfs}/bin/busybox`,
        `chroot ${rootfs} /bin/busybox --install -s /bin`,
        `echo 'root:x:0:0:root:/root:/bin/sh' >${rootfs}/etc/passwd`,
        `echo 'root:x:0:' >${rootfs}/etc/group`,
      ]
      await runProgram(['sh', '-c', script.join('\n')])
      await work.fromScratch()
      await work.addDirectory(rootfs)
      await work.configure(['sh'])
    },
  })
}

/** The Debian release that apt's sources name. */
function releaseOf(sources: readonly string[]): string {
  const suites = sources.map((line) => line.split(' ')[2] ?? '')
  return suites.find((suite) => !suite.includes('-')) ?? ''
}
