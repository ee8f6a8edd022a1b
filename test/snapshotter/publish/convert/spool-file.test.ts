import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SpoolFile } from '../../../../snapshotter/publish/convert/spool-file.js'

const SIZE = 3_000_000

describe('SpoolFile', () => {
  let folder: string
  let spool: SpoolFile
  const content = Buffer.alloc(SIZE)
  for (let at = 0; at < SIZE; at += 4) content.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at)

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'test-spool-'))
    spool = SpoolFile.create(join(folder, 'spool'))
    for (let at = 0; at < SIZE; at += 70_001) await spool.append(content.subarray(at, at + 70_001))
    await spool.flush()
  })
  afterEach(async () => {
    await spool.close()
    assert.deepEqual(readdirSync(folder), [])
    rmSync(folder, { recursive: true })
  })

  const read = (offset: number, length: number): void => {
    const target = Buffer.alloc(length)
    spool.readSync(target, offset)
    assert.ok(target.equals(content.subarray(offset, offset + length)), `${length} at ${offset}`)
  }

  it('gives back what was appended, one piece after the other', () => {
    for (let at = 0, length = 1; at < SIZE; at += length, length = (length * 7) % 300_007) {
      read(at, Math.min(length, SIZE - at))
    }
  })

  it('gives it back with gaps, backwards and all over the place', () => {
    for (let at = 0; at + 100 < SIZE; at += 20_011) read(at, 100)
    for (let at = SIZE - 100; at > 0; at -= 20_011) read(at, 100)
    for (let i = 0; i < 1000; i++) read((i * 1_299_709) % (SIZE - 5000), (i * 104_729) % 5000)
  })

  it('says where it ends, for a small piece and a large one', () => {
    for (const length of [10, 200_000]) {
      read(SIZE - 1000, 500)
      const target = Buffer.alloc(length)
      assert.throws(() => {
        spool.readSync(target, SIZE - 5)
      }, /ends before byte 3000000/)
      read(SIZE - 5, 5)
    }
  })

  it('gives back what was appended after a read', async () => {
    read(SIZE - 1000, 1000)
    await spool.append(Buffer.from('more'))
    await spool.flush()
    const target = Buffer.alloc(4)
    spool.readSync(target, SIZE)
    assert.equal(target.toString(), 'more')
  })
})
