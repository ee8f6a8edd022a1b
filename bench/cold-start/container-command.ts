/**
 * The arguments with which `ctr` creates the container of a workload, the same for every contender.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Workload } from '../workloads/workload.js'

/**
 * Writes a workload's sources to `folder`. Returns the mount that shows them at /src, or no mount
 * if there are no sources.
 */
export function sourceMounts(workload: Workload, folder: string): readonly string[] {
  const sources = Object.entries(workload.sources)
  if (sources.length === 0) return []
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of sources) writeFileSync(join(folder, name), text)
  return [`type=bind,src=${folder},dst=/src,options=rbind:ro`]
}

export interface CreateOptions {
  readonly workload: Workload
  readonly reference: string
  readonly snapshotter: string
  /** Name of the container. */
  readonly id: string
  /** See `sourceMounts`. */
  readonly mounts: readonly string[]
}

/** The arguments of `ctr containers create …`, without the word `ctr`. */
export function createArguments(options: CreateOptions): string[] {
  const { workload, reference, snapshotter, id, mounts } = options
  return [
    ...['containers', 'create', '--snapshotter', snapshotter],
    ...(workload.hostNetwork ? ['--net-host'] : []),
    ...workload.env.flatMap((variable) => ['--env', variable]),
    ...mounts.flatMap((mount) => ['--mount', mount]),
    ...['--', reference, id],
    ...workload.command,
  ]
}
