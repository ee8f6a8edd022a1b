/** Finds a program's files in a tree as the kernel and the dynamic loader would find them. */
import { type Inode, isRegular, type Tree } from '../../index-format/index.js'
import { resolvePath } from './resolve-path.js'
import type { ElfNeeds } from './elf-file.js'

export interface FoundFile {
  /** The absolute path that was looked up, with symbolic links not resolved. */
  readonly path: string
  /** The inode of a regular file. */
  readonly inode: Inode
}

/** The default folders of dynamic loaders (ld.so(8)), with Debian's folders. */
const LIBRARY_FOLDERS = ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf']
  .flatMap((triplet) => [`/lib/${triplet}`, `/usr/lib/${triplet}`])
  .concat('/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib')
const ORIGIN = /\$ORIGIN|\$\{ORIGIN\}/g

/**
 * Whether `folder` is a default folder of the loader, in which programs find libraries by name
 * alone.
 */
export function isLibraryFolder(folder: string): boolean {
  return LIBRARY_FOLDERS.includes(folder)
}

/**
 * The regular file at `path` (latin1), with symbolic links followed. Undefined if there is none or
 * if it cannot be reached.
 */
export function fileAt(tree: Tree, path: string): Inode | undefined {
  try {
    const inode = resolvePath(tree, Buffer.from(path, 'latin1'), { followLast: true })
    return isRegular(inode.mode) ? inode : undefined
  } catch {
    // The path is absent or unreachable, so no program will open this file.
    return undefined
  }
}

/**
 * The file `name` in the first of `folders` that has it. Undefined if none has it. If `name` begins
 * with `/`, it is looked up as it is.
 */
export function findIn(
  tree: Tree,
  name: string,
  folders: readonly string[],
): FoundFile | undefined {
  for (const folder of folders) {
    const path = name.startsWith('/') ? name : `${folder}/${name}`
    const inode = fileAt(tree, path)
    if (inode !== undefined) return { path, inode }
  }
  return undefined
}

/**
 * The libraries in `needed`, in the same order. Libraries that are not found are left out. `path`
 * is the path of the file that needs them. If `path` is unknown (undefined), directories relative
 * to `$ORIGIN` are left out.
 */
export function librariesOf(
  tree: Tree,
  { needed, runPath }: Pick<ElfNeeds, 'needed' | 'runPath'>,
  path: string | undefined,
): FoundFile[] {
  const origin = path?.slice(0, path.lastIndexOf('/'))
  const own = runPath.flatMap((text) => {
    const folder = text.replace(ORIGIN, origin ?? '')
    return origin === undefined && folder !== text ? [] : [folder]
  })
  const folders = [...own, ...LIBRARY_FOLDERS]
  return needed.flatMap((name) => findIn(tree, name, folders) ?? [])
}
