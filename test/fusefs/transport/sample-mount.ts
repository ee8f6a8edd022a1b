/**
 * A real mount of sample trees for tests. The trees have a registry of their own. This process
 * serves the mount.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  FuseServer,
  type FuseServerOptions,
  type KernelMount,
  type NegotiatedInit,
  type TreeClass,
  type TreeRecord,
  TreeRegistry,
  mountFuse,
  setReadAhead,
  unmountFuse,
} from '../../../fusefs/index.js'
import { writeIndex } from '../../../index-format/index.js'
import { SampleContent } from '../filesystem/sample-content.js'
import { type Member, SampleTree } from '../filesystem/sample-tree.js'
import { SampleLog } from './sample-log.js'

/**
 * A temporary folder, a registry with trees, their content, and a /dev/fuse mount. `serve` starts a
 * server.
 */
export class SampleMount {
  readonly dir: string
  readonly mountpoint: string
  readonly registry: TreeRegistry
  readonly content: SampleContent
  readonly log = new SampleLog()
  readonly records: TreeRecord[]
  readonly treeClass: TreeClass
  negotiated: NegotiatedInit | undefined
  server: FuseServer | undefined
  #mount: KernelMount | undefined

  constructor(treeClass: TreeClass, trees: readonly (readonly Member[])[]) {
    this.treeClass = treeClass
    this.dir = mkdtempSync(join(tmpdir(), 'thin-mount-'))
    this.mountpoint = join(this.dir, 'mnt')
    mkdirSync(this.mountpoint)
    this.registry = TreeRegistry.open({ dir: join(this.dir, 'trees') })
    const samples = trees.map((members) => new SampleTree(members))
    this.content = new SampleContent(samples.map((tree) => tree.pack))
    this.records = samples.map((tree) => this.register(tree))
  }

  register(tree: SampleTree): TreeRecord {
    const path = join(this.dir, 'index.tmp')
    const { table } = tree.pack
    const written = writeIndex(tree, {
      path,
      kind: 'layer',
      packs: table.rawSizeBytes > 0 ? [table] : [],
    })
    copyFileSync(path, this.registry.indexPath(written.digest))
    rmSync(path)
    return this.registry.register({
      indexDigest: written.digest,
      class: this.treeClass,
      stores: ['file:///nowhere'],
    })
  }

  get fd(): number {
    if (this.#mount === undefined) throw new Error('not mounted')
    return this.#mount.handle.fd
  }

  /** The path of the tree at this index of `records`. */
  root(at = 0): string {
    return join(this.mountpoint, this.records[at]?.name ?? '')
  }

  async mount(): Promise<void> {
    this.#mount = await mountFuse({ mountpoint: this.mountpoint, fsName: 'thin-test' })
  }

  async serve(options: Partial<FuseServerOptions> = {}): Promise<FuseServer> {
    const { fd, mountpoint, content, log } = this
    const trees = {
      kind: 'registry',
      dir: join(this.dir, 'trees'),
      class: this.treeClass,
    } as const
    const onInit = (negotiated: NegotiatedInit): void => {
      this.negotiated = negotiated
    }
    this.server = await FuseServer.start(
      { fd, mountpoint, trees, ...options },
      { content, log, onInit },
    )
    await setReadAhead(mountpoint)
    return this.server
  }

  async close(): Promise<void> {
    if (this.#mount !== undefined) {
      await unmountFuse(this.mountpoint)
      await this.server?.ended
      await this.#mount.handle.close()
    }
    this.registry.close()
    this.content.close()
    rmSync(this.dir, { recursive: true })
  }
}
