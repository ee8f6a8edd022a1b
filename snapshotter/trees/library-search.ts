/** Programs' files in a tree, looked for as the kernel and the dynamic loader would. */
import { type Inode, isRegular, type Tree } from '../../index-format/index.js'
import { resolvePath } from './resolve-path.js'
import type { ElfNeeds } from './elf-file.js'

export interface FoundFile {
  /** Absolute, as it was looked for. */
  readonly path: string
  /** Of a regular file. */
  readonly inode: Inode
}

/** Where loaders look when nothing else says where (ld.so(8)), those of Debian included. */
const LIBRARY_FOLDERS = ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf']
  .flatMap((triplet) => [`/lib/${triplet}`, `/usr/lib/${triplet}`])
  .concat('/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib')
const ORIGIN = /\$ORIGIN|\$\{ORIGIN\}/g

/** Whether the libraries of `folder` are found by their names alone: any program's are there. */
export function isLibraryFolder(folder: string): boolean {
  return LIBRARY_FOLDERS.includes(folder)
}

/** The regular file at `path`; undefined where there is none or it cannot be reached. */
export function fileAt(tree: Tree, path: string): Inode | undefined {
  try {
    const inode = resolvePath(tree, Buffer.from(path, 'latin1'), { followLast: true })
    return isRegular(inode.mode) ? inode : undefined
  } catch {
    // Not there, or not to be reached: then this is not what will be opened.
    return undefined
  }
}

/** The first of `folders` that has it. */
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
 * The libraries that a file needs by name, in its order; what is not found is left out. `path` is the file's
 * own: undefined where it is not known, which leaves out what lies relative to it.
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
