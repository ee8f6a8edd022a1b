/** A short form of workloads. */
import type { Workload } from './workload.js'
import { type DebianImage, debianImage } from '../../test/sandbox/images/debian-image.js'

type Task = Pick<Workload, 'command'> & Partial<Omit<Workload, 'image'>>

/**
 * Makes a workload of a Debian image. Defaults, which `task` may replace: it has the image's name,
 * and is ready when its program ends.
 */
export function debianWorkload(image: DebianImage, task: Task): Workload {
  return {
    name: image.name,
    image: (cache) => debianImage(cache, image),
    env: [],
    sources: {},
    hostNetwork: false,
    ready: { kind: 'exit' },
    ...task,
  }
}
