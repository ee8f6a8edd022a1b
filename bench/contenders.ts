/** The ordinary image with containerd's own overlayfs, against the thin one: measured in turn. */
import { type ColdStart, type ColdStartOptions, coldStart } from './cold-start.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'

export interface ContenderStarts {
  readonly overlayfs: readonly ColdStart[]
  readonly thin: readonly ColdStart[]
}

export interface CompareOptions {
  readonly ordinary: string
  readonly thin: string
  readonly command: readonly string[]
  /** Cold starts of each. */
  readonly runs: number
}

/**
 * Alternates between the two, which starts first changing with every run. Throws when their outputs
 * are not the same: a fast wrong start is no start.
 */
export async function compareColdStarts(
  sandbox: Sandbox,
  options: CompareOptions,
  progress: (line: string) => void,
): Promise<ContenderStarts> {
  const overlayfs: ColdStart[] = []
  const thin: ColdStart[] = []
  const { command, runs } = options
  for (let run = 0; run < runs; run++) {
    const contenders: [ColdStart[], ColdStartOptions][] = [
      [overlayfs, { reference: options.ordinary, snapshotter: 'overlayfs', command }],
      [thin, { reference: options.thin, snapshotter: 'thin', command }],
    ]
    if (run % 2 === 1) contenders.reverse()
    for (const [starts, contender] of contenders) {
      const start = await coldStart(sandbox, contender)
      starts.push(start)
      const seconds = (start.totalMs / 1000).toFixed(2)
      progress(`run ${run + 1} of ${runs}, ${contender.snapshotter}: ready after ${seconds} s`)
    }
  }
  const outputs = new Set([...overlayfs, ...thin].map(({ output }) => output))
  if (outputs.size !== 1) {
    throw new Error(`the containers did not print the same: ${[...outputs].join(' / ')}`)
  }
  return { overlayfs, thin }
}
