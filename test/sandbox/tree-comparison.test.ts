/** Tests that the comparison sees each kind of difference. Every test of equality relies on it. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './program.js'
import { compareTrees } from './tree-comparison.js'

describe('compareTrees', () => {
  let dir: string
  let left: string
  let right: string

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'thin-compare-'))
    left = join(dir, 'left')
    right = join(dir, 'right')
    mkdirSync(join(left, 'dir/sub'), { recursive: true })
    writeFileSync(join(left, 'dir/file'), 'content')
    writeFileSync(join(left, 'dir/other'), 'other')
    linkSync(join(left, 'dir/file'), join(left, 'dir/link'))
    symlinkSync('file', join(left, 'dir/symlink'))
    writeFileSync(Buffer.concat([Buffer.from(`${left}/dir/`), Buffer.of(0xff, 0x0a)]), 'bytes')
    await runProgram(['mknod', join(left, 'device'), 'c', '1', '3'])
    await runProgram(['setfattr', '-n', 'user.a', '-v', '1', join(left, 'dir/file')])
    await runProgram(['cp', '-a', left, right])
  })

  afterEach(() => {
    rmSync(dir, { recursive: true })
  })

  it('finds a copy equal, and has read all of it', async () => {
    const { differences, comparedEntries, comparedBytes } = await compareTrees(left, right)
    assert.deepEqual(differences, [])
    assert.equal(comparedEntries, 9)
    assert.equal(comparedBytes, 7 + 7 + 5 + 5)
  })

  it('passes over the time of a directory that unpacking has made, and over nothing else', async () => {
    const { mtimeMs } = lstatSync(left)
    utimesSync(join(left, 'dir/sub'), 1, mtimeMs / 1000 + 5)
    utimesSync(join(left, 'dir/other'), 1, mtimeMs / 1000 + 5)
    const { differences } = await compareTrees(left, right, { leftUnpackedMs: mtimeMs + 4000 })
    assert.deepEqual(
      differences.map(({ path, attribute }) => `${path} ${attribute}`),
      ['dir/other mtimeNs'],
    )
  })

  const changes: Record<string, [change: () => unknown, expected: string[]]> = {
    'a changed byte': [
      () => {
        const file = join(right, 'dir/other')
        const { atime, mtime } = lstatSync(file)
        writeFileSync(file, 'oTher')
        utimesSync(file, atime, mtime)
      },
      ['dir/other content', 'dir/other mtimeNs'],
    ],
    'a permission bit': [
      () => {
        chmodSync(join(right, 'dir/sub'), 0o1755)
      },
      ['dir/sub mode'],
    ],
    'an owner and a group': [
      () => {
        chownSync(join(right, 'dir/other'), 1, 2)
      },
      ['dir/other gid', 'dir/other uid'],
    ],
    'a nanosecond': [
      () =>
        runProgram([
          'sh',
          '-c',
          `cd ${right}/dir && touch -d 2020-01-01T00:00:00.000000001 sub ${left}/dir/sub && touch -d 2020-01-01T00:00:00.000000002 sub`,
        ]),
      ['dir/sub mtimeNs'],
    ],
    'a device number': [
      () =>
        runProgram([
          'sh',
          '-c',
          `cd ${right} && rm device && mknod device c 1 5 && touch -r ${left}/device device && touch -r ${left} .`,
        ]),
      ['device rdev'],
    ],
    'an extended attribute': [
      () => runProgram(['setfattr', '-n', 'user.a', '-v', '2', join(right, 'dir/file')]),
      ['dir/file xattrs', 'dir/link xattrs'],
    ],
    'a link target': [
      () =>
        runProgram([
          'sh',
          '-c',
          `cd ${right}/dir && ln -sfn fill symlink && touch -h -r ${left}/dir/symlink symlink && touch -r ${left}/dir .`,
        ]),
      ['dir/symlink target'],
    ],
    'a hard link that joins another file': [
      () =>
        runProgram([
          'sh',
          '-c',
          `cd ${right}/dir && rm link && cp -a file link && ln other more && rm more && touch -r ${left}/dir .`,
        ]),
      ['dir/file nlink', 'dir/link hard link of', 'dir/link nlink'],
    ],
    'a missing name that is not UTF-8': [
      () => {
        rmSync(Buffer.concat([Buffer.from(`${right}/dir/`), Buffer.of(0xff, 0x0a)]))
        const { atime, mtime } = lstatSync(join(left, 'dir'))
        utimesSync(join(right, 'dir'), atime, mtime)
      },
      ['dir/\\xff\\x0a entry'],
    ],
    'a file in place of a directory': [
      () =>
        runProgram([
          'sh',
          '-c',
          `cd ${right}/dir && rmdir sub && touch -r ${left}/dir/sub sub && touch -r ${left}/dir .`,
        ]),
      ['dir/sub mode'],
    ],
  }

  for (const [name, [change, expected]] of Object.entries(changes)) {
    it(`sees ${name}`, async () => {
      await change()
      const { differences } = await compareTrees(left, right)
      const found = differences.map(({ path, attribute }) => `${path} ${attribute}`)
      for (const difference of expected) {
        assert.ok(found.includes(difference), `${difference} is not in: ${found.join(', ')}`)
      }
    })
  }
})
