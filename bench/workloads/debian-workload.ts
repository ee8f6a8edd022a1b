/** Short ways to write a workload down. */
import type { Workload } from './workload.js'
import { type DebianImage, debianImage } from '../../test/sandbox/images/debian-image.js'

type Task = Pick<Workload, 'command'> & Partial<Omit<Workload, 'image'>>

/** A workload in a Debian image; unless `task` says otherwise, it has the image's name and is ready when it ends. */
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
