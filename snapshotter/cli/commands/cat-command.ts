/** `thinctl cat`: fetches one file of a tree, verifies it, and writes it to standard output. */
import type { Command } from 'commander'
import { ContentStore } from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'
import { unescapePath } from '../../trees/escape-name.js'
import type { OpenedTree } from '../../inspect/opened-tree.js'
import { readFileOf } from '../../inspect/read-file.js'
import { resolvePath } from '../../trees/resolve-path.js'
import { isRegular } from '../../../index-format/index.js'
import type { CommandContext } from '../command-context.js'
import { writeOut } from '../standard-output.js'
import { addTreeOptions, type TreeOptions, withTree } from '../tree-options.js'

export function addCatCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('cat')
    .description('write a file of a thin image to standard output; symbolic links are followed')
    .argument('<image>', 'thin image, unpacked thin layer, or path of an index file')
    .argument('<path>', 'in the tree; special characters as `ls -b` prints them')
  addTreeOptions(command).action((what: string, path: string, options: TreeOptions) =>
    withTree(what, options, context, (tree) => writeFile(tree, path, context)),
  )
}

async function writeFile(tree: OpenedTree, path: string, context: CommandContext): Promise<void> {
  const { index, store, name } = tree
  const inode = resolvePath(index, unescapePath(path), { followLast: true })
  if (!isRegular(inode.mode)) {
    throw new SnapshotterError('invalid-argument', `${path} of ${name}: not a regular file`)
  }
  if (store === undefined) {
    throw new SnapshotterError('invalid-argument', `${name}: say with --store where its packs are`)
  }
  // The store has no disk cache, because the file is read once only.
  const content = await ContentStore.open({}, { log: context.log })
  try {
    const bytes = readFileOf(inode.ino, { index, store, content }, context.signal)
    await writeOut(bytes, context.signal)
  } finally {
    await content.close()
  }
}
