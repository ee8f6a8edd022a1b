/**
 * A containerd for tools that convert images inside a containerd: the image is pulled, converted
 * there and pushed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Containerd } from '../../../test/sandbox/containerd.js'
import { unmountBelow } from '../../../test/sandbox/mounts.js'
import type { Sandbox } from '../../../test/sandbox/sandbox.js'

/** Calls `work` with a new containerd that has seen no image, and removes it afterwards. */
export async function withPublisher<T>(
  sandbox: Sandbox,
  work: (containerd: Containerd, directory: string) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(sandbox.directory, 'publisher-'))
  try {
    const containerd = await Containerd.start({
      directory: join(directory, 'containerd'),
      snapshotters: {},
    })
    try {
      return await work(containerd, directory)
    } finally {
      await containerd.close()
    }
  } finally {
    await unmountBelow(directory)
    rmSync(directory, { recursive: true, force: true })
  }
}
