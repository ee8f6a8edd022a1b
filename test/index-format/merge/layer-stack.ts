/** A stack of layers built from archives in memory, and the merged tree over them. */
import { type LayerTree, MergedTree } from '../../../index-format/index.js'
import { type BuiltLayer, buildArchive } from '../layer/built-layer.js'
import { type Dump, dumpTree } from '../layer/tree-dump.js'
import { chunksOf } from '../tar/tar-fixture.js'

export class LayerStack {
  readonly tree: MergedTree
  readonly #layers: readonly BuiltLayer[]

  private constructor(tree: MergedTree, layers: readonly BuiltLayer[]) {
    this.tree = tree
    this.#layers = layers
  }

  /** Builds the layers (tar archives, bottom first) and merges them. The caller closes the stack. */
  static async build(archives: readonly Uint8Array[]): Promise<LayerStack> {
    const layers: BuiltLayer[] = []
    try {
      for (const archive of archives) layers.push(await buildArchive(chunksOf(archive)))
      return new LayerStack(MergedTree.create(layers.map(({ tree }) => tree)), layers)
    } catch (error) {
      for (const layer of layers) layer.close()
      throw error
    }
  }

  get layers(): readonly LayerTree[] {
    return this.#layers.map(({ tree }) => tree)
  }

  dump(pageEntries = 3): Dump {
    return dumpTree(
      this.tree,
      (ino, offset, length) => {
        const spool = this.#layers[this.tree.origin(ino).layer]?.spool
        return spool?.subarray(offset, offset + length) ?? new Uint8Array()
      },
      { pageEntries },
    )
  }

  /** Whether a path of the merged tree is only implied by the archive that it comes from. */
  isImplied(path: string): boolean {
    let ino: number | undefined = 1
    for (const name of path === '.' ? [] : path.split('/')) {
      ino = ino === undefined ? undefined : this.tree.lookup(ino, Buffer.from(name, 'latin1'))
    }
    if (ino === undefined) return false
    const origin = this.tree.origin(ino)
    return this.#layers[origin.layer]?.tree.inode(origin.ino)?.implied ?? false
  }

  close(): void {
    this.tree.close()
    for (const layer of this.#layers) layer.close()
  }
}
