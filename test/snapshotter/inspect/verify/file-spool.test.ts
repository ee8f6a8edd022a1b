import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileSpool } from '../../../../snapshotter/inspect/verify/file-spool.js'
import { pseudoRandom } from '../sample-layer.js'

describe('FileSpool', () => {
  let folder: string
  let spool: FileSpool

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'thin-spool-'))
    spool = FileSpool.create(join(folder, 'spool'))
  })

  afterEach(() => {
    spool.close()
    spool.close()
    rmSync(folder, { recursive: true })
  })

  it('gives back what was appended, whatever the sizes, while more is appended', () => {
    const all = pseudoRandom(5_000_000, 3)
    const sizes = [1, 1_048_575, 1, 1_048_577, 100, 2_500_000]
    let at = 0
    for (const size of [...sizes, all.length - sizes.reduce((sum, one) => sum + one)]) {
      spool.append(all.subarray(at, at + size))
      at += size
      assert.equal(spool.sizeBytes, at)
      const part = Buffer.alloc(Math.min(at, 70_000))
      spool.readSync(part, at - part.length)
      assert.ok(part.equals(all.subarray(at - part.length, at)))
    }
    const whole = Buffer.alloc(all.length)
    spool.readSync(whole, 0)
    assert.ok(whole.equals(all))
  })

  it('refuses to read beyond its end', () => {
    spool.append(Buffer.from('abc'))
    assert.throws(
      () => {
        spool.readSync(Buffer.alloc(4), 0)
      },
      { code: 'truncated' },
    )
  })

  it('leaves no name in the folder', () => {
    assert.deepEqual(readdirSync(folder), [])
  })
})
