/** Tests the tar reader with each format. It reads archives as a whole and in odd chunks. */
import assert from 'node:assert/strict'
import { readTar, type TarMember, type TarReadOptions } from '../../../index-format/index.js'
import { bytesOf, chunksOf, memberBytes, paxHeader, tarOf } from './tar-fixture.js'

interface Read extends Omit<TarMember, 'body' | 'path' | 'linkTarget' | 'xattrs'> {
  readonly path: string
  readonly linkTarget: string
  readonly xattrs: Record<string, string>
  readonly content: Buffer
}

async function readAll(
  archive: Uint8Array,
  options?: TarReadOptions & { chunkBytes?: number },
): Promise<Read[]> {
  const members: Read[] = []
  for await (const { body, path, linkTarget, xattrs, ...rest } of readTar(
    chunksOf(archive, options?.chunkBytes),
    options,
  )) {
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    members.push({
      ...rest,
      path: latin1(path),
      linkTarget: latin1(linkTarget),
      xattrs: Object.fromEntries(xattrs.map(({ name, value }) => [latin1(name), latin1(value)])),
      content: Buffer.concat(chunks),
    })
  }
  return members
}

async function readOne(archive: Uint8Array, options?: TarReadOptions): Promise<Read> {
  const members = await readAll(archive, options)
  assert.equal(members.length, 1)
  const [member] = members
  assert.ok(member)
  return member
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

describe('readTar', () => {
  it('reads every kind of ustar member', async () => {
    const archive = tarOf(
      { path: 'd/', mode: 0o1777, uid: 5, gid: 6, mtime: 77 },
      { path: 'd/f', body: 'hello', mode: 0o4755 },
      { path: 's', type: '2', link: 'd/f' },
      { path: 'h', type: '1', link: 'd/f', size: 5 },
      { path: 'c', type: '3', devMajor: 1, devMinor: 3 },
      { path: 'b', type: '4', devMajor: 8, devMinor: 1 },
      { path: 'p', type: '6' },
      { path: 'contiguous', type: '7', body: 'seven' },
    )
    for (const chunkBytes of [archive.length, 1, 511, 513]) {
      const members = await readAll(archive, { chunkBytes })
      assert.deepEqual(
        members.map(({ kind, path, linkTarget }) => [kind, path, linkTarget]),
        [
          ['directory', 'd/', ''],
          ['file', 'd/f', ''],
          ['symlink', 's', 'd/f'],
          ['hardlink', 'h', 'd/f'],
          ['char', 'c', ''],
          ['block', 'b', ''],
          ['fifo', 'p', ''],
          ['file', 'contiguous', ''],
        ],
      )
      const [directory, file, , link, char] = members
      assert.deepEqual(
        [
          directory?.mode,
          directory?.uid,
          directory?.gid,
          directory?.mtimeSec,
          directory?.mtimeNsec,
        ],
        [0o1777, 5, 6, 77, 0],
      )
      assert.equal(file?.content.toString(), 'hello')
      assert.equal(file.mode, 0o4755)
      assert.equal(link?.sizeBytes, 0)
      assert.deepEqual([char?.devMajor, char?.devMinor], [1, 3])
    }
  })

  it('joins the ustar prefix, but not what GNU and star keep in its place', async () => {
    const [ustar, gnu, star] = await readAll(
      tarOf(
        { path: 'name', prefix: 'a/b' },
        { path: 'name', prefix: 'a/b', magic: 'ustar  \0' },
        {
          path: 'name',
          prefix: 'a/b',
          raw: [
            { at: 476, bytes: '11111111111 ' },
            { at: 508, bytes: 'tar\0' },
          ],
        },
      ),
    )
    assert.equal(ustar?.path, 'a/b/name')
    assert.equal(gnu?.path, 'name')
    assert.equal(star?.path, 'a/b/name')
  })

  it('reads v7, where a slash marks a directory', async () => {
    const magic = '\0\0\0\0\0\0\0\0'
    const [directory, file] = await readAll(
      tarOf({ path: 'd/', type: '\0', magic }, { path: 'f', type: '\0', magic, body: 'x' }),
    )
    assert.equal(directory?.kind, 'directory')
    assert.equal(file?.kind, 'file')
  })

  it('takes path, link, owner, size, time and attributes from a pax header', async () => {
    const longPath = `${'p'.repeat(200)}/${'q'.repeat(200)}`
    const member = await readOne(
      tarOf({
        path: 'short',
        body: 'twelve bytes',
        size: 0,
        pax: {
          path: longPath,
          uid: '3000000000',
          gid: '4',
          size: '12',
          mtime: '1700000000.000000012',
        },
        xattrs: {
          'user.lines': 'one\ntwo=2\n',
          'security.capability': Buffer.from([1, 0, 0, 2, 255]),
        },
      }),
    )
    assert.equal(member.path, longPath)
    assert.deepEqual([member.uid, member.gid, member.sizeBytes], [3_000_000_000, 4, 12])
    assert.deepEqual([member.mtimeSec, member.mtimeNsec], [1_700_000_000, 12])
    assert.equal(member.content.toString(), 'twelve bytes')
    assert.deepEqual(member.xattrs, {
      'user.lines': 'one\ntwo=2\n',
      'security.capability': '\x01\0\0\x02\xff',
    })
  })

  it('counts negative pax times forward from the second before', async () => {
    const member = await readOne(tarOf({ path: 'f', pax: { mtime: '-1.25' } }))
    assert.deepEqual([member.mtimeSec, member.mtimeNsec], [-2, 750_000_000])
  })

  it('keeps names, targets and attribute names that are not UTF-8', async () => {
    const member = await readOne(
      tarOf({
        path: 'f',
        type: '2',
        link: 'x',
        pax: { path: Buffer.from([0xff, 0x2f, 0xc3, 0x28]), linkpath: Buffer.from([0x80]) },
      }),
    )
    assert.equal(member.path, '\xff/\xc3(')
    assert.equal(member.linkTarget, '\x80')
  })

  it('lets the last of two pax headers count, and a GNU long name beat both', async () => {
    const archive = Buffer.concat([
      paxHeader([
        ['path', 'first'],
        ['uid', '7'],
      ]),
      paxHeader([['path', 'second']]),
      memberBytes({ path: '././@LongLink', type: 'L', body: 'gnu-long\0', magic: 'ustar  \0' }),
      memberBytes({ path: '././@LongLink', type: 'K', body: 'gnu-target\0', magic: 'ustar  \0' }),
      tarOf({ path: 'own', type: '2', link: 'own-target', uid: 1 }),
    ])
    const member = await readOne(archive)
    assert.deepEqual([member.path, member.linkTarget, member.uid], ['gnu-long', 'gnu-target', 1])
  })

  it('ends the effect of a pax header with its member', async () => {
    const [, second] = await readAll(tarOf({ path: 'a', pax: { path: 'b' } }, { path: 'c' }))
    assert.equal(second?.path, 'c')
  })

  it('applies global headers to what follows unless it is told not to', async () => {
    const archive = Buffer.concat([
      memberBytes({ path: 'before' }),
      paxHeader(
        [
          ['uid', '9'],
          ['SCHILY.xattr.user.g', 'global'],
        ],
        'g',
      ),
      tarOf({ path: 'after' }, { path: 'own', pax: { uid: '8' } }),
    ])
    const applied = await readAll(archive)
    assert.deepEqual(
      applied.map(({ uid }) => uid),
      [0, 9, 8],
    )
    assert.deepEqual(applied[2]?.xattrs, { 'user.g': 'global' })
    const ignored = await readAll(archive, { globalHeaders: 'ignore' })
    assert.deepEqual(
      ignored.map(({ uid }) => uid),
      [0, 0, 8],
    )
  })

  it('reads base-256 numbers, also negative ones', async () => {
    const member = await readOne(tarOf({ path: 'f', uid: 2 ** 31 + 5, gid: -2, mtime: -100 }))
    assert.deepEqual([member.uid, member.gid, member.mtimeSec], [2 ** 31 + 5, -2, -100])
  })

  it('reads the header of a file beyond 8 GiB and says that its bytes are missing', async () => {
    const size = 9 * 2 ** 30
    const archive = tarOf({ path: 'big', size })
    const sizes: number[] = []
    await assert.rejects(
      async () => {
        for await (const member of readTar(chunksOf(archive))) sizes.push(member.sizeBytes)
      },
      { name: 'IndexFormatError', code: 'truncated', message: /member "big"/ },
    )
    assert.deepEqual(sizes, [size])
  })

  it('accepts a signed checksum', async () => {
    const path = Buffer.from([0xe9])
    const unsigned = memberBytes({ path })
    const sum = parseInt(unsigned.toString('latin1', 148, 154), 8) - 256
    const member = await readOne(
      Buffer.concat([
        memberBytes({
          path,
          damage: [{ at: 148, bytes: `${sum.toString(8).padStart(6, '0')}\0 ` }],
        }),
        Buffer.alloc(1024),
      ]),
    )
    assert.equal(member.path, '\xe9')
  })

  it('ignores what follows the end blocks, but reads it', async () => {
    const archive = Buffer.concat([tarOf({ path: 'f' }), Buffer.from('garbage'.repeat(1000))])
    let seen = 0
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunksOf(archive, 1000)) {
        seen += chunk.length
        yield chunk
      }
    }
    let members = 0
    for await (const member of readTar(counted())) members += member.kind === 'file' ? 1 : 0
    assert.equal(members, 1)
    assert.equal(seen, archive.length)
  })

  it('does without end blocks, without the last padding, and with nothing at all', async () => {
    const member = memberBytes({ path: 'f', body: 'abc' })
    assert.equal((await readOne(member)).content.toString(), 'abc')
    assert.equal((await readOne(member.subarray(0, 512 + 3))).content.toString(), 'abc')
    assert.deepEqual(await readAll(Buffer.alloc(0)), [])
    assert.deepEqual(await readAll(Buffer.alloc(512)), [])
  })

  it('skips bodies that nobody reads', async () => {
    const archive = tarOf({ path: 'a', body: 'x'.repeat(5000) }, { path: 'b', body: 'y' })
    const paths: string[] = []
    for await (const member of readTar(chunksOf(archive, 700))) paths.push(latin1(member.path))
    assert.deepEqual(paths, ['a', 'b'])
  })

  it('ends the source when the loop is left', async () => {
    let ended = false
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          await Promise.resolve()
          yield memberBytes({ path: 'again' })
        }
      } finally {
        ended = true
      }
    }
    for await (const member of readTar(source())) if (member.kind === 'file') break
    assert.ok(ended)
  })

  it('hands out views of the chunks it was given', async () => {
    const chunk = tarOf({ path: 'f', body: bytesOf('content') })
    for await (const member of readTar(chunksOf(chunk, chunk.length))) {
      for await (const part of member.body) assert.equal(part.buffer, chunk.buffer)
    }
  })
})
