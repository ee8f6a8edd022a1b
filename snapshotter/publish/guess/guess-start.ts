/**
 * Guesses what a start reads, for images without a recorded profile. The guess names the files that
 * the kernel and the dynamic loader are sure to read before the program's own code decides, in the
 * order in which they are opened. Of a large ELF file, it names only the bytes that loading reads.
 */
import {
  AccessOrder,
  type Inode,
  type Profile,
  PROFILE_PAGE_BYTES,
  type ProfileRange,
  type Tree,
} from '../../../index-format/index.js'
import { type ElfNeeds, type FileRun, type ReadAt, readElfNeeds } from '../../trees/elf-file.js'
import { fileAt, findIn, type FoundFile, librariesOf } from '../../trees/library-search.js'

export interface GuessOptions {
  readonly index: Profile['index']
  readonly tree: Tree
  /** Entrypoint and command in one list, as the image's configuration has them. */
  readonly argv: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  readonly workingDirectory: string
  /** Reads bytes of a file of the tree and verifies them. */
  readonly readFile: (ino: number, offset: number, length: number) => Promise<Uint8Array>
  /** ELF files larger than this are not taken whole. Default 8 MiB. */
  readonly maxWholeBytes?: number
}

/**
 * Uncompressed bytes of one guess; compressed they are a third. The loader reads most of them
 * before the program runs, so few of them compete for the network with reads that the program waits
 * for. If a program and its libraries are larger, the rest is read on demand.
 */
const MAX_GUESSED_BYTES = 48 * 1024 * 1024
/**
 * ELF files of at most this size are taken whole: the kernel reads ahead so far that it asks for
 * nearly all of such a file anyway. Measured: taking only the loaded runs of all files costs more
 * bytes and requests.
 */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024
/**
 * Files that are read in every container. The runtime reads users and groups, and most programs
 * read how to look them up.
 */
const ALWAYS_READ = ['/etc/passwd', '/etc/group', '/etc/nsswitch.conf']
const MAX_FILES = 256
const MAX_SHEBANG_BYTES = 256
const MAX_ARGUMENT_WORDS = 64
const MAX_PATH_FOLDERS = 64
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Guesses a profile. The profile has no ranges if `argv` is empty or none of its programs is in the
 * tree.
 */
export async function guessStart(options: GuessOptions): Promise<Profile> {
  const guess = new Guess(options)
  await guess.run()
  return { index: options.index, commands: [], ranges: guess.ranges() }
}

class Guess {
  readonly #order = new AccessOrder()
  readonly #options: GuessOptions
  readonly #seen = new Set<number>()
  #bytes = 0

  constructor(options: GuessOptions) {
    this.#options = options
  }

  ranges(): readonly ProfileRange[] {
    return this.#order.ranges()
  }

  async run(): Promise<void> {
    const [name, ...args] = this.#options.argv
    if (name === undefined) return
    const programs = [name, ...args.flatMap((argument) => this.#programsIn(argument))]
    if (programs.every((program) => this.#findProgram(program) === undefined)) return
    // These files come first: the runtime reads them before it starts the program.
    for (const path of ALWAYS_READ) this.#addPath(path)
    for (const program of programs) await this.#program(program)
  }

  async #program(name: string): Promise<void> {
    const found = this.#findProgram(name)
    if (found === undefined || this.#seen.has(found.inode.ino)) return
    const read = this.#readerOf(found.inode)
    const needs = await readElfNeeds(read)
    this.#add(found.inode, needs?.loaded)
    if (needs === undefined) {
      for (const next of shebangOf(await read(0, MAX_SHEBANG_BYTES))) await this.#program(next)
      return
    }
    if (needs.interpreter !== undefined) {
      await this.#interpreter(needs.interpreter)
      this.#addPath('/etc/ld.so.cache')
    }
    await this.#libraries(needs, found.path)
  }

  /** Adds the dynamic loader, an ELF file that needs no other. */
  async #interpreter(path: string): Promise<void> {
    const inode = fileAt(this.#options.tree, path)
    if (inode === undefined || this.#seen.has(inode.ino)) return
    this.#add(inode, (await readElfNeeds(this.#readerOf(inode)))?.loaded)
  }

  async #libraries(first: ElfNeeds, firstPath: string): Promise<void> {
    const queue = [{ needs: first, path: firstPath }]
    for (const { needs, path } of queue) {
      for (const library of librariesOf(this.#options.tree, needs, path)) {
        if (this.#seen.has(library.inode.ino)) continue
        const more = await readElfNeeds(this.#readerOf(library.inode))
        this.#add(library.inode, more?.loaded)
        if (more !== undefined) queue.push({ needs: more, path: library.path })
      }
    }
  }

  /**
   * The programs that an argument may run. An argument may be the script of an interpreter, the
   * program that an entrypoint runs at its end (`docker-entrypoint.sh postgres`), or a shell's text
   * that names programs, as the shell form of CMD is stored (`sh -c "exec postgres"`).
   */
  #programsIn(argument: string): string[] {
    if (argument.startsWith('/') && fileAt(this.#options.tree, argument) !== undefined)
      return [argument]
    const words = wordsOf(argument).slice(0, MAX_ARGUMENT_WORDS)
    return words.filter((word) => this.#isExecutable(word))
  }

  /**
   * Whether a word is the absolute path of an executable or its name on the PATH. Relative paths
   * are left out, because the script decides where they begin.
   */
  #isExecutable(word: string): boolean {
    if (word.startsWith('-') || (word.includes('/') && !word.startsWith('/'))) return false
    return ((this.#findProgram(word)?.inode.mode ?? 0) & 0o111) !== 0
  }

  #findProgram(name: string): FoundFile | undefined {
    const { env, tree, workingDirectory } = this.#options
    if (name.startsWith('/')) return findIn(tree, name, [''])
    if (name.includes('/')) return findIn(tree, name, [workingDirectory])
    const path = env.find((pair) => pair.startsWith('PATH='))?.slice('PATH='.length)
    return findIn(tree, name, (path ?? DEFAULT_PATH).split(':', MAX_PATH_FOLDERS))
  }

  #addPath(path: string): void {
    const inode = fileAt(this.#options.tree, path)
    if (inode !== undefined) this.#add(inode, undefined)
  }

  /**
   * Adds a file to the guess. `loaded`: the runs to take of a large file; undefined: take all of
   * it.
   */
  #add({ ino, sizeBytes }: Inode, loaded: readonly FileRun[] | undefined): void {
    if (this.#seen.has(ino) || this.#seen.size >= MAX_FILES) return
    this.#seen.add(ino)
    const isWhole =
      loaded === undefined || sizeBytes <= (this.#options.maxWholeBytes ?? MAX_WHOLE_BYTES)
    for (const run of isWhole ? [{ offset: 0, sizeBytes }] : loaded) {
      const offset = run.offset - (run.offset % PROFILE_PAGE_BYTES)
      const end = Math.min(run.offset + run.sizeBytes, sizeBytes)
      const length = Math.ceil((end - offset) / PROFILE_PAGE_BYTES) * PROFILE_PAGE_BYTES
      if (length <= 0 || this.#bytes + length > MAX_GUESSED_BYTES) continue
      this.#bytes += length
      this.#order.add(ino, offset, length)
    }
  }

  #readerOf({ ino, sizeBytes }: Inode): ReadAt {
    return (offset, length) => {
      const end = Math.min(offset + length, sizeBytes)
      if (end <= offset) return Promise.resolve(new Uint8Array(0))
      return this.#options.readFile(ino, offset, end - offset)
    }
  }
}

/** The words of a shell text, cut at white space, operators and quotes. */
function wordsOf(text: string): string[] {
  return text.split(/[\s;&|()<>"'`]+/).filter((word) => word !== '')
}

/** The interpreter of a script. If it is env(1), also the program that env looks for. */
function shebangOf(head: Uint8Array): string[] {
  const line = Buffer.from(head).toString('latin1').split('\n', 1)[0] ?? ''
  const words = /^#! *(.*)$/.exec(line)?.[1]?.trim().split(/\s+/) ?? []
  const [interpreter] = words
  if (interpreter === undefined || interpreter === '') return []
  if (!interpreter.endsWith('/env')) return [interpreter]
  const program = words.slice(1).find((word) => !word.startsWith('-') && !word.includes('='))
  return program === undefined ? [interpreter] : [interpreter, program]
}
