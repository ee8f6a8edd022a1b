/** One sample tree, mounted at its mountpoint by `mountTree`. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Mounted, type TransportName, mountTree } from '../../../fusefs/index.js'
import { writeIndex } from '../../../index-format/index.js'
import { SampleContent } from '../filesystem/sample-content.js'
import { type Member, SampleTree } from '../filesystem/sample-tree.js'
import { SampleLog } from './sample-log.js'

/** The reason why the native transport cannot be tested here, or `undefined` if it can. */
export async function skipReasonOfNative(): Promise<string | undefined> {
  try {
    await import('fuse-native')
    return undefined
  } catch (error) {
    return `fuse-native cannot be loaded: ${String(error)}`
  }
}

export class SampleTreeMount {
  readonly content: SampleContent
  readonly log: SampleLog
  readonly mounted: Mounted
  readonly #dir: string

  private constructor(parts: {
    dir: string
    content: SampleContent
    log: SampleLog
    mounted: Mounted
  }) {
    this.#dir = parts.dir
    this.content = parts.content
    this.log = parts.log
    this.mounted = parts.mounted
  }

  static async create(
    members: readonly Member[],
    transport: TransportName,
  ): Promise<SampleTreeMount> {
    const dir = mkdtempSync(join(tmpdir(), 'thin-tree-mount-'))
    const mountpoint = join(dir, 'mnt')
    mkdirSync(mountpoint)
    const sample = new SampleTree(members)
    const indexPath = join(dir, 'index')
    const packs = [sample.pack.table]
    const { digest } = writeIndex(sample, { path: indexPath, kind: 'merged', packs })
    const content = new SampleContent([sample.pack])
    const log = new SampleLog()
    const mounted = await mountTree(
      { indexPath, indexDigest: digest, stores: ['file:///nowhere'], mountpoint, transport },
      { content, log },
    )
    return new SampleTreeMount({ dir, content, log, mounted })
  }

  get mountpoint(): string {
    return this.mounted.mountpoint
  }

  /** The line of /proc/mounts for this mount, or an empty string. */
  procMounts(): string {
    const lines = readFileSync('/proc/mounts', 'utf8').split('\n')
    return lines.find((line) => line.includes(` ${this.mountpoint} `)) ?? ''
  }

  async close(): Promise<void> {
    await this.mounted.unmount()
    this.content.close()
    rmSync(this.#dir, { recursive: true })
  }
}
