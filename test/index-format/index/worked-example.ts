/**
 * The example of FORMAT.md: a tree of two directories and three names, and its pack. It is small
 * enough to be read byte by byte.
 */
import {
  digestOf,
  InlineCompressor,
  packFiles,
  packInputsOf,
  type PackTable,
  writeIndex,
  type WrittenIndex,
} from '../../../index-format/index.js'
import { accessOf, MemoryStore } from '../pack/buffer-access.js'
import { MemoryTree } from './memory-tree.js'

export const EXAMPLE_TEXT = 'thin '.repeat(20)

export interface WorkedExample {
  readonly pack: Buffer
  readonly table: PackTable
  readonly index: WrittenIndex
}

/** Writes the example's index to `path`. */
export async function writeWorkedExample(path: string): Promise<WorkedExample> {
  const content = Buffer.from(EXAMPLE_TEXT)
  const tree = new MemoryTree()
  tree.directory('etc')
  const extents = [{ offset: 0, length: content.length, pack: 0, rawOffset: 0 }]
  const motd = tree.file('etc/motd', content.length, extents, {
    uid: 1,
    gid: 2,
    mtimeNsec: 5,
    xattrs: { 'user.note': 'hi' },
  })
  tree.link('etc/issue', motd)
  tree.symlink('motd', 'etc/motd')
  const store = new MemoryStore()
  const packed = await packFiles({
    files: packInputsOf(tree, () => digestOf(content)),
    spool: accessOf(content),
    compressor: new InlineCompressor(),
    level: 3,
    openPack: () => store.openPack(),
  })
  const index = writeIndex(tree, {
    path,
    kind: 'layer',
    packs: packed.packs,
    extentsOf: (ino) => packed.extentsOf(ino),
  })
  const [pack] = store.packs.values()
  const [table] = store.tables
  if (pack === undefined || table === undefined) throw new Error('the example has one pack')
  return { pack, table, index }
}
