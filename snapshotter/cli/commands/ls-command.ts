/** `thinctl ls`: lists names and attributes of a tree. Fetches no file content. */
import type { Command } from 'commander'
import {
  DirectoryCursor,
  type Inode,
  isDirectory,
  joinPath,
  type Tree,
} from '../../../index-format/index.js'
import { escapeName, escapePath, unescapePath } from '../../trees/escape-name.js'
import { columnsFromFile, jsonFromFile } from '../../inspect/listed-file.js'
import { resolvePath } from '../../trees/resolve-path.js'
import { textTable } from '../../inspect/text-table.js'
import type { CommandContext } from '../command-context.js'
import { writeOut } from '../standard-output.js'
import { addTreeOptions, type TreeOptions, withTree } from '../tree-options.js'

interface LsOptions extends TreeOptions {
  readonly long?: true
  readonly recursive?: true
  readonly json?: true
}

export function addLsCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('ls')
    .description('list a directory of a thin image, or of an index file')
    .argument('<image>', 'thin image, unpacked thin layer, or path of an index file')
    .argument('[path]', 'in the tree; special characters as `ls -b` prints them', '/')
    .option(
      '-l, --long',
      'mode, links, owner, group, size, time (UTC), name; + after the mode: extended attributes',
    )
    .option('-R, --recursive', 'everything below, too')
    .option('--json', 'everything about each name, as a JSON array')
  addTreeOptions(command).action((what: string, path: string, options: LsOptions) =>
    withTree(what, options, context, async ({ index }) => {
      const chunks = options.json === true ? listJson : listText
      await writeOut(chunks(index, unescapePath(path), options), context.signal)
    }),
  )
}

interface Listed {
  readonly path: Uint8Array
  readonly name: Uint8Array
  readonly inode: Inode
}

function* listText(tree: Tree, path: Uint8Array, options: LsOptions): Generator<string> {
  const start = resolvePath(tree, path, { followLast: false })
  if (!isDirectory(start.mode)) {
    yield linesOf(tree, [{ path, name: path, inode: start }], options)
    return
  }
  const directories: Listed[] = [{ path: trimmed(path), name: path, inode: start }]
  const seen = new Set([start.ino])
  let isFirst = true
  for (let top = directories.pop(); top !== undefined; top = directories.pop()) {
    const children = childrenOf(tree, top)
    const title =
      options.recursive === true ? `${isFirst ? '' : '\n'}/${escapePath(top.path)}:\n` : ''
    yield title + linesOf(tree, children, options)
    isFirst = false
    if (options.recursive !== true) continue
    directories.push(...newDirectories(children, seen))
  }
}

function* listJson(tree: Tree, path: Uint8Array, options: LsOptions): Generator<string> {
  const start = resolvePath(tree, path, { followLast: false })
  const first = { path: trimmed(path), name: path, inode: start }
  let separator = '[\n'
  const shown = ({ path: at, inode }: Listed): string => {
    const text = separator + JSON.stringify(jsonFromFile(tree, at, inode))
    separator = ',\n'
    return text
  }
  if (!isDirectory(start.mode)) yield shown(first)
  const directories = isDirectory(start.mode) ? [first] : []
  const seen = new Set([start.ino])
  for (let top = directories.pop(); top !== undefined; top = directories.pop()) {
    const children = childrenOf(tree, top)
    for (const child of children) yield shown(child)
    if (options.recursive !== true) continue
    directories.push(...newDirectories(children, seen))
  }
  yield separator === '[\n' ? '[]\n' : '\n]\n'
}

/**
 * The directories among `children` that were not seen yet, in reverse order: the caller takes the
 * last one first. A damaged index may lead back to a directory.
 */
function newDirectories(children: readonly Listed[], seen: Set<number>): Listed[] {
  const found = children.filter(({ inode }) => isDirectory(inode.mode) && !seen.has(inode.ino))
  for (const { inode } of found) seen.add(inode.ino)
  return found.reverse()
}

function childrenOf(tree: Tree, directory: Listed): Listed[] {
  const children: Listed[] = []
  const cursor = new DirectoryCursor(tree, directory.inode.ino)
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const inode = tree.inode(entry.ino)
    if (inode === undefined) continue
    children.push({ path: joinPath(directory.path, entry.name), name: entry.name, inode })
  }
  return children
}

function linesOf(tree: Tree, files: readonly Listed[], options: LsOptions): string {
  const lines =
    options.long === true
      ? textTable(
          files.map(({ inode, name }) => columnsFromFile(tree, escapeName(name), inode)),
          { right: [1, 2, 3, 4] },
        )
      : files.map(({ name }) => escapeName(name))
  return lines.map((line) => `${line}\n`).join('')
}

/** The path without leading and trailing slashes, as paths of a tree are. */
function trimmed(path: Uint8Array): Uint8Array {
  let [from, to] = [0, path.length]
  while (from < to && path[from] === 0x2f) from++
  while (to > from && path[to - 1] === 0x2f) to--
  return path.subarray(from, to)
}
