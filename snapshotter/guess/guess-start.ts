/**
 * A guess at what a start reads, where nobody has recorded one: the files that the kernel and the
 * dynamic loader are sure to read before the program's own code decides. Whole files, in the order in
 * which they are opened.
 */
import {
  type Inode,
  type Profile,
  PROFILE_PAGE_BYTES,
  type ProfileRange,
  type Tree,
} from '../../index-format/index.js'
import { resolvePath } from '../inspect/resolve-path.js'
import { type ElfNeeds, type ReadAt, readElfNeeds } from './elf-file.js'

export interface GuessOptions {
  readonly index: Profile['index']
  readonly tree: Tree
  /** Entrypoint and command together, as the image's configuration has them. */
  readonly argv: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  readonly workingDirectory: string
  /** Fills in bytes of a file of the tree, verified. */
  readonly readFile: (ino: number, offset: number, length: number) => Promise<Uint8Array>
}

/** A guess is not worth more: what a large program reads of itself is a small part of it. */
const MAX_GUESSED_BYTES = 32 * 1024 * 1024
const MAX_FILES = 256
const MAX_SHEBANG_BYTES = 256
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Where loaders look when nothing else says where (ld.so(8)), those of Debian included. */
const LIBRARY_FOLDERS = ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf']
  .flatMap((triplet) => [`/lib/${triplet}`, `/usr/lib/${triplet}`])
  .concat('/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib')

/** A profile without ranges where the program cannot be found or is of no kind we know. */
export async function guessStart(options: GuessOptions): Promise<Profile> {
  const guess = new Guess(options)
  await guess.run()
  return { index: options.index, commands: [], ranges: guess.ranges }
}

class Guess {
  readonly ranges: ProfileRange[] = []
  readonly #options: GuessOptions
  readonly #seen = new Set<number>()
  #bytes = 0

  constructor(options: GuessOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const [name, ...args] = this.#options.argv
    if (name === undefined) return
    await this.#program(name)
    // A script that is run by a shell or an interpreter, and a program that an entrypoint ends in.
    for (const word of args) if (word.startsWith('/')) await this.#program(word)
  }

  async #program(name: string): Promise<void> {
    const found = this.#findProgram(name)
    if (found === undefined || !this.#add(found.inode)) return
    const read = this.#readerOf(found.inode)
    const needs = await readElfNeeds(read)
    if (needs === undefined) {
      for (const next of shebangOf(await read(0, MAX_SHEBANG_BYTES))) await this.#program(next)
      return
    }
    if (needs.interpreter !== undefined) {
      this.#addPath(needs.interpreter)
      this.#addPath('/etc/ld.so.cache')
    }
    await this.#libraries(needs, found.path)
  }

  async #libraries(first: ElfNeeds, firstPath: string): Promise<void> {
    const queue = [{ needs: first, path: firstPath }]
    for (const { needs, path } of queue) {
      const origin = path.slice(0, path.lastIndexOf('/'))
      const own = needs.runPath.map((text) => text.replace(/\$ORIGIN|\$\{ORIGIN\}/g, origin))
      for (const name of needs.needed) {
        const library = this.#findIn(name, [...own, ...LIBRARY_FOLDERS])
        if (library === undefined || !this.#add(library.inode)) continue
        const more = await readElfNeeds(this.#readerOf(library.inode))
        if (more !== undefined) queue.push({ needs: more, path: library.path })
      }
    }
  }

  #findProgram(name: string): { path: string; inode: Inode } | undefined {
    if (name.startsWith('/')) return this.#findIn(name.slice(1), [''])
    if (name.includes('/')) return this.#findIn(name, [this.#options.workingDirectory])
    const path = this.#options.env.find((pair) => pair.startsWith('PATH='))?.slice('PATH='.length)
    return this.#findIn(name, (path ?? DEFAULT_PATH).split(':'))
  }

  #findIn(name: string, folders: readonly string[]): { path: string; inode: Inode } | undefined {
    for (const folder of folders) {
      const path = name.startsWith('/') ? name : `${folder}/${name}`
      const inode = this.#fileAt(path)
      if (inode !== undefined) return { path, inode }
    }
    return undefined
  }

  #fileAt(path: string): Inode | undefined {
    try {
      const { tree } = this.#options
      const inode = resolvePath(tree, Buffer.from(path, 'latin1'), { followLast: true })
      return (inode.mode & 0o170000) === 0o100000 ? inode : undefined
    } catch {
      // Not there, or not to be reached: then this is not what will be opened.
      return undefined
    }
  }

  #addPath(path: string): void {
    const inode = this.#fileAt(path)
    if (inode !== undefined) this.#add(inode)
  }

  /** False where it is known already, or too much. */
  #add(inode: Inode): boolean {
    const { ino, sizeBytes } = inode
    if (this.#seen.has(ino) || this.#seen.size >= MAX_FILES || sizeBytes === 0) return false
    if (this.#bytes + sizeBytes > MAX_GUESSED_BYTES) return false
    this.#seen.add(ino)
    this.#bytes += sizeBytes
    const length = Math.ceil(sizeBytes / PROFILE_PAGE_BYTES) * PROFILE_PAGE_BYTES
    this.ranges.push({ ino, offset: 0, length })
    return true
  }

  #readerOf({ ino, sizeBytes }: Inode): ReadAt {
    return (offset, length) => {
      const end = Math.min(offset + length, sizeBytes)
      if (end <= offset) return Promise.resolve(new Uint8Array(0))
      return this.#options.readFile(ino, offset, end - offset)
    }
  }
}

/** The interpreter of a script and, after env(1), the program it looks for. */
function shebangOf(head: Uint8Array): string[] {
  const line = Buffer.from(head).toString('latin1').split('\n', 1)[0] ?? ''
  const words = /^#! *(.*)$/.exec(line)?.[1]?.trim().split(/\s+/) ?? []
  const [interpreter] = words
  if (interpreter === undefined || interpreter === '') return []
  if (!interpreter.endsWith('/env')) return [interpreter]
  const program = words.slice(1).find((word) => !word.startsWith('-') && !word.includes('='))
  return program === undefined ? [interpreter] : [interpreter, program]
}
