/**
 * Tests archives that this machine's tar program writes, in each of its formats, against the files
 * themselves.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  createReadStream,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../../sandbox/program.js'
import { buildArchive } from '../layer/built-layer.js'
import { dumpDirectory } from '../layer/directory-dump.js'
import { type Dump, dumpTree } from '../layer/tree-dump.js'

const LONG = `${'long-directory-name-'.repeat(6)}/${'long-file-name-'.repeat(12)}`

describe('readTar against the tar program', () => {
  let work: string

  before(async () => {
    work = mkdtempSync(join(tmpdir(), 'thin-tar-'))
    await fill(join(work, 'root'))
  })

  after(() => {
    rmSync(work, { recursive: true, force: true })
  })

  async function assertSame(
    flags: readonly string[],
    options: { isLossy?: boolean } = {},
  ): Promise<void> {
    const archive = join(work, 'archive.tar')
    const root = join(work, 'root')
    await runProgram(['tar', '--create', '--file', archive, '--directory', root, ...flags, '.'])
    const layer = await buildArchive(createReadStream(archive, { highWaterMark: 10_000 }))
    try {
      const read = dumpTree(layer.tree, (_, offset, length) =>
        layer.spool.subarray(offset, offset + length),
      )
      const expected = await dumpDirectory(root)
      const wanted = options.isLossy === true ? withoutFineDetails : (dump: Dump): Dump => dump
      assert.deepEqual(withoutRoot(wanted(read)), withoutRoot(wanted(expected)))
    } finally {
      layer.close()
    }
  }

  it('reads pax with attributes and nanoseconds', async () => {
    await assertSame(['--format=pax', '--xattrs', '--xattrs-include=*'])
  })

  for (const version of ['0.0', '0.1', '1.0']) {
    it(`reads sparse files in pax format ${version}`, async () => {
      await assertSame([
        '--format=pax',
        '--xattrs',
        '--xattrs-include=*',
        '--sparse',
        `--sparse-version=${version}`,
      ])
    })
  }

  it('reads the GNU format with long names', async () => {
    await assertSame(['--format=gnu'], { isLossy: true })
  })

  it('reads old GNU sparse files', async () => {
    await assertSame(['--format=oldgnu', '--sparse'], { isLossy: true })
  })

  it('keeps the holes of sparse files out of the spool', async () => {
    for (const flags of [['--format=gnu'], ['--format=pax', '--sparse-version=1.0']]) {
      const archive = join(work, 'holes.tar')
      const at = ['--directory', join(work, 'root'), 'sparse', 'many-runs', 'only-a-hole']
      await runProgram(['tar', '--create', '--file', archive, '--sparse', ...flags, ...at])
      const layer = await buildArchive(createReadStream(archive))
      try {
        const ino = layer.tree.lookup(1, Buffer.from('sparse')) ?? -1
        const [first, second] = layer.tree.extents(ino)
        assert.deepEqual(
          [first?.offset, second?.offset, layer.tree.inode(ino)?.sizeBytes],
          [0, 2 ** 25, 2 ** 26],
        )
        const hole = layer.tree.lookup(1, Buffer.from('only-a-hole')) ?? -1
        assert.deepEqual(layer.tree.extents(hole), [])
        assert.ok(layer.spool.length < 2 ** 21, `${layer.spool.length} bytes spooled`)
      } finally {
        layer.close()
      }
    }
  })

  for (const format of ['ustar', 'v7']) {
    it(`reads ${format}`, async () => {
      // Neither format has room for long names and large owners. v7 has no devices and fifos
      // either.
      const left = [
        '--exclude=./long-*',
        '--exclude=./empty',
        ...(format === 'v7' ? ['--exclude=./pipe', '--exclude=./null'] : []),
      ]
      const archive = join(work, `${format}.tar`)
      const root = join(work, 'root')
      const create = ['tar', '--create', '--file', archive, `--format=${format}`]
      await runProgram([...create, ...left, '--exclude=./sparse', '--directory', root, '.'])
      const layer = await buildArchive(createReadStream(archive))
      try {
        const read = dumpTree(layer.tree, (_, offset, length) =>
          layer.spool.subarray(offset, offset + length),
        )
        const expected = Object.fromEntries(
          Object.entries(await dumpDirectory(root)).filter(([path]) => path in read),
        )
        assert.ok(Object.keys(read).length > 8)
        assert.deepEqual(
          withoutRoot(withoutFineDetails(read)),
          withoutRoot(withoutFineDetails(expected)),
        )
      } finally {
        layer.close()
      }
    })
  }
})

async function fill(root: string): Promise<void> {
  const at = (name: string): string => join(root, name)
  mkdirSync(at('d'), { recursive: true })
  writeFileSync(at('d/file'), 'content\n')
  writeFileSync(at('empty'), '')
  writeFileSync(Buffer.concat([Buffer.from(`${root}/raw-`), Buffer.of(0xff, 0x0a, 0xe4)]), 'raw')
  mkdirSync(join(at(LONG), '..'), { recursive: true })
  writeFileSync(at(LONG), 'long')
  symlinkSync(`target-${'t'.repeat(200)}`, at('long-link'))
  symlinkSync('d/file', at('link'))
  linkSync(at('d/file'), at('d/hard'))
  linkSync(at('d/file'), at('hard'))
  chmodSync(at('empty'), 0o4750)
  chmodSync(at('d'), 0o1777)
  await runProgram(['chown', '3000000000:12345', at('empty')])
  chmodSync(at('empty'), 0o4750)
  await runProgram(['mknod', at('null'), 'c', '1', '3'])
  await runProgram(['mkfifo', at('pipe')])
  await runProgram(['setfattr', '-n', 'user.binary', '-v', '0x00ff0a3d', at('d/file')])
  // The file has one name: tar stores attributes with one name only, and a hard link without
  // capabilities removes them.
  writeFileSync(at('d/capable'), 'capable')
  await runProgram(['setcap', 'cap_net_raw+ep', at('d/capable')])
  sparseFile(at('sparse'), [0, 2 ** 25], 2 ** 26)
  sparseFile(
    at('many-runs'),
    Array.from({ length: 60 }, (_, i) => 65_536 * 2 * i),
    65_536 * 200,
  )
  sparseFile(at('only-a-hole'), [], 2 ** 20)
  utimesSync(at('link'), 5, 5)
  await runProgram(['touch', '-d', '2001-02-03 04:05:06.123456789 UTC', at('d/file'), at('d')])
}

function sparseFile(path: string, offsets: readonly number[], sizeBytes: number): void {
  const fd = openSync(path, 'w')
  try {
    for (const offset of offsets) writeSync(fd, Buffer.alloc(4096, 'x'), 0, 4096, offset)
    ftruncateSync(fd, sizeBytes)
  } finally {
    closeSync(fd)
  }
}

/**
 * Removes the root: containerd, and so a layer, takes no attributes of the root from an archive.
 */
function withoutRoot(dump: Dump): Dump {
  return Object.fromEntries(Object.entries(dump).filter(([path]) => path !== '.'))
}

/** Removes details that only pax can store: extended attributes and fractions of seconds. */
function withoutFineDetails(dump: Dump): Dump {
  return Object.fromEntries(
    Object.entries(dump).map(([path, dumped]) => [
      path,
      { ...dumped, xattrs: {}, mtime: dumped.mtime.replace(/\..*/, '') },
    ]),
  )
}
