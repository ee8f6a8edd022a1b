/** Tests the guess with real programs, against the output of the dynamic loader. */
import assert from 'node:assert/strict'
import { readFileSync, realpathSync } from 'node:fs'
import { digestOf, type Inode, pathsOf } from '../../../../index-format/index.js'
import { guessStart } from '../../../../snapshotter/publish/guess/guess-start.js'
import { type Member, SampleTree } from '../../../fusefs/filesystem/sample-tree.js'
import { runProgram } from '../../../sandbox/program.js'

const PROGRAM = '/usr/bin/find'
const SCRIPT = Buffer.from('#! /usr/bin/env -S find -x\nrest\n')
const ENTRYPOINT = Buffer.from('#!/usr/bin/sh\nexec "$@"\n')

describe('guessStart', () => {
  let tree: SampleTree
  /** The libraries that the program loads according to ld.so, including the loader itself. */
  let libraries: string[]

  before(async () => {
    const { stdout } = await runProgram(['ldd', PROGRAM])
    const named = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '')
    libraries = named.map((path) => realpathSync(path))
    assert.ok(libraries.length >= 2, stdout)
    const files = new Map<string, Uint8Array>([
      [PROGRAM, readFileSync(PROGRAM)],
      ['/usr/bin/env', readFileSync('/usr/bin/env')],
      ['/usr/bin/other', readFileSync('/usr/bin/env')],
      ['/etc/ld.so.cache', Buffer.from('cache')],
      ['/etc/passwd', Buffer.from('root:x:0:0::/:/bin/sh')],
      ['/srv/script', SCRIPT],
      ['/srv/entrypoint', ENTRYPOINT],
      ['/usr/bin/sh', readFileSync('/usr/bin/env')],
      ['/usr/bin/find.txt', Buffer.from('no program')],
      ['/srv/broken', Buffer.from('\x7fELF\x02\x01 and no more')],
      ...libraries.map((path) => [path, readFileSync(path)] as const),
    ])
    // Links as in Debian images: /lib and /lib64 lead to /usr, and a library's name leads to its
    // version.
    const links = new Map([
      ['/lib', 'usr/lib'],
      ['/lib64', 'usr/lib64'],
      ...named.map((path) => [usr(path), realpathSync(path)] as const),
    ])
    tree = treeOf(files, links)
  })

  it('names program, loader and libraries, as the loader does, and what every start reads', async () => {
    const expected = [PROGRAM, ...libraries, '/etc/ld.so.cache', '/etc/passwd'].sort()
    assert.deepEqual(await guessed(['find', '/', '-name', 'x']), expected)
  })

  it('takes of a large file what loading reads', async () => {
    const expected = [PROGRAM, ...libraries, '/etc/ld.so.cache', '/etc/passwd'].sort()
    assert.deepEqual(await guessed(['find'], '/', 256 * 1024), expected)
  })

  it('follows scripts to what runs them', async () => {
    const found = await guessed(['/srv/script'])
    for (const path of ['/srv/script', '/usr/bin/env', PROGRAM]) assert.ok(found.includes(path))
    assert.ok(!found.includes('/usr/bin/other'))
  })

  it('goes on to the program in which an entrypoint or the text for a shell ends', async () => {
    const entrypoint = await guessed(['/srv/entrypoint', 'find', '-x'])
    const named = ['/srv/entrypoint', '/usr/bin/sh', PROGRAM, ...libraries]
    for (const path of named) assert.ok(entrypoint.includes(path), path)
    const text = await guessed(['/usr/bin/sh', '-c', 'cd /srv; exec find "$@"'])
    for (const path of ['/usr/bin/sh', PROGRAM]) assert.ok(text.includes(path), path)
  })

  it('takes an argument for a program only where it can be run', async () => {
    const found = await guessed(['/usr/bin/other', 'find.txt', '-find', 'bin/find'])
    for (const path of ['/usr/bin/find.txt', PROGRAM]) assert.ok(!found.includes(path), path)
  })

  it('finds a program that is named from the working directory', async () => {
    assert.ok((await guessed(['./find'], '/usr/bin')).includes(PROGRAM))
  })

  it('guesses nothing where it knows nothing', async () => {
    assert.deepEqual(await guessed([]), [])
    assert.deepEqual(await guessed(['no-such-program']), [])
    assert.deepEqual(await guessed(['/srv']), [])
    assert.deepEqual(await guessed(['/srv/broken']), ['/etc/passwd', '/srv/broken'])
  })

  async function guessed(
    argv: readonly string[],
    workingDirectory = '/',
    maxWholeBytes = 8 * 1024 * 1024,
  ): Promise<string[]> {
    const profile = await guessStart({
      index: digestOf(Buffer.from('any')),
      tree,
      ...{ argv, workingDirectory, maxWholeBytes, env: ['HOME=/', 'PATH=/bin:/usr/bin'] },
      readFile: (ino, offset, length) => Promise.resolve(contentOf(ino, offset, length)),
    })
    const inos = new Set(profile.ranges.map(({ ino }) => ino))
    for (const ino of inos) {
      const mine = profile.ranges.filter((range) => range.ino === ino)
      const bytes = mine.reduce((sum, { length }) => sum + length, 0)
      const pageBytes = Math.ceil(inodeOf(ino).sizeBytes / 4096) * 4096
      assert.equal(mine[0]?.offset, 0)
      if (pageBytes <= maxWholeBytes) assert.equal(bytes, pageBytes)
      // Code of at most 1 MiB is also expected. libc has more code than that.
      else if (pageBytes > 1.5 * 1024 * 1024) assert.ok(bytes < pageBytes * 0.75)
    }
    return [...pathsOf(tree, inos).values()]
      .map((path) => `/${Buffer.from(path).toString()}`)
      .sort()
  }

  function contentOf(ino: number, offset: number, length: number): Uint8Array {
    const [extent] = tree.extents(ino)
    assert.ok(extent)
    const from = extent.rawOffset + offset
    return tree.pack.raw.subarray(from, from + length)
  }

  function inodeOf(ino: number): Inode {
    const inode = tree.inode(ino)
    assert.ok(inode)
    return inode
  }
})

/** The real path of a path on a system with merged /usr. */
function usr(path: string): string {
  return path.startsWith('/usr/') ? path : `/usr${path}`
}

function treeOf(
  files: ReadonlyMap<string, Uint8Array>,
  links: ReadonlyMap<string, string>,
): SampleTree {
  const members = new Map<string, Member>([['', { path: '', mode: 0o040755 }]])
  const addFolders = (path: string): void => {
    const parent = path.slice(0, path.lastIndexOf('/'))
    if (parent === '' || members.has(parent.slice(1))) return
    addFolders(parent)
    members.set(parent.slice(1), { path: parent.slice(1), mode: 0o040755 })
  }
  for (const [path, content] of files) {
    addFolders(path)
    const mode = path.endsWith('.txt') ? 0o100644 : 0o100755
    members.set(path.slice(1), { path: path.slice(1), mode, content: [content] })
  }
  for (const [path, target] of links) {
    if (members.has(path.slice(1))) continue
    addFolders(path)
    members.set(path.slice(1), { path: path.slice(1), mode: 0o120777, target })
  }
  return new SampleTree([...members.values()])
}
