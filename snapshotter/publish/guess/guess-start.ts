/**
 * A guess at what a start reads, where nobody has recorded one: the files that the kernel and the
 * dynamic loader are sure to read before the program's own code decides, in the order in
 * which they are opened; of large ones, only what loading reads.
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
  /** Entrypoint and command together, as the image's configuration has them. */
  readonly argv: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  readonly workingDirectory: string
  /** Fills in bytes of a file of the tree, verified. */
  readonly readFile: (ino: number, offset: number, length: number) => Promise<Uint8Array>
  /** Larger files are not taken whole. Default 8 MiB. */
  readonly maxWholeBytes?: number
}

/**
 * Compressed it is a third. The loader reads most of it before there is a program, so that little of it competes for the
 * network with what that waits for; where a program and its libraries have more, the rest is read as needed.
 */
const MAX_GUESSED_BYTES = 48 * 1024 * 1024
/**
 * Smaller files are taken whole: the kernel reads so far ahead that nearly all of them is asked for
 * anyway. Taking only what loading reads of all files costs more bytes and requests, measured.
 */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024
/** Read for every container: users and groups by the runtime, how to look them up by most programs. */
const ALWAYS_READ = ['/etc/passwd', '/etc/group', '/etc/nsswitch.conf']
const MAX_FILES = 256
const MAX_SHEBANG_BYTES = 256
const MAX_ARGUMENT_WORDS = 64
const MAX_PATH_FOLDERS = 64
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A profile without ranges where the program cannot be found or is of no kind we know. */
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
    // First what is read first: the runtime waits for it before there is a program.
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

  /** The dynamic loader: an ELF file that needs nothing. */
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
   * What an argument may run: it is the script of an interpreter, or the program in which an entrypoint
   * ends (`docker-entrypoint.sh postgres`), or the text of a shell that names some, as the shell form of
   * CMD is stored (`sh -c "exec postgres"`).
   */
  #programsIn(argument: string): string[] {
    if (argument.startsWith('/') && fileAt(this.#options.tree, argument) !== undefined)
      return [argument]
    const words = wordsOf(argument).slice(0, MAX_ARGUMENT_WORDS)
    return words.filter((word) => this.#isExecutable(word))
  }

  /** By its path or by a name on the PATH. What other paths begin from is a matter of the script. */
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

  /** `loaded`: what is read of a large file; undefined: all of it. */
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

/** What a shell would take for words. */
function wordsOf(text: string): string[] {
  return text.split(/[\s;&|()<>"'`]+/).filter((word) => word !== '')
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
