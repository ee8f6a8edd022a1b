import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  checkIndex,
  digestOf,
  Index,
  IndexFormatError,
  PackReader,
} from '../../../index-format/index.js'
import * as limits from '../../../index-format/limits.js'
import { accessOf } from '../pack/buffer-access.js'
import { Random } from '../pack/random.js'
import { readAll } from './read-all.js'
import { EXAMPLE_TEXT, writeWorkedExample } from './worked-example.js'

const ROOT = new URL('../../../../', import.meta.url)
const fixture = (name: string): Buffer =>
  readFileSync(new URL(`test/fixtures/index-format/${name}`, ROOT))

describe('golden files', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'golden-'))
  })
  after(() => {
    rmSync(folder, { recursive: true })
  })

  it('are what SHA256SUMS says', () => {
    for (const line of fixture('SHA256SUMS').toString().trim().split('\n')) {
      const [digest, name = ''] = line.split('  ')
      assert.equal(createHash('sha256').update(fixture(name)).digest('hex'), digest, name)
    }
  })

  it('are written today as they were written first', async () => {
    const path = join(folder, 'written')
    const { pack, index } = await writeWorkedExample(path)
    assert.ok(pack.equals(fixture('example.pack')), 'the pack')
    assert.ok(readFileSync(path).equals(fixture('example.index')), 'the index')
    assert.equal(index.digest, digestOf(fixture('example.index')))
  })

  it('are read, and pass the check', async () => {
    const path = join(folder, 'read')
    writeFileSync(path, fixture('example.index'))
    const pack = accessOf(fixture('example.pack'))
    for await (const finding of checkIndex(path, { openPack: () => pack }))
      assert.fail(finding.code)
    const index = Index.open(path)
    readAll(index)
    const [ref] = index.packs()
    assert.ok(ref)
    const reader = PackReader.open(pack, ref.digest)
    reader.verifyDigest()
    assert.deepEqual(reader.table, index.packTable(ref.key))
    assert.equal(Buffer.from(reader.readFrame(0)).toString(), EXAMPLE_TEXT)
    index.close()
  })

  it('are the worked example of FORMAT.md', async () => {
    const format = readFileSync(new URL('index-format/FORMAT.md', ROOT), 'utf8')
    const { pack, table, index } = await writeWorkedExample(join(folder, 'documented'))
    const dump = /```hexdump\n(?<dump>[^`]*)```/.exec(format)?.groups?.['dump'] ?? ''
    const hex = dump.replace(/^[0-9a-f]{8}(?<bytes>(?: +[0-9a-f]{2})+) +\|.*$/gm, '$<bytes>')
    assert.ok(Buffer.from(hex.replace(/\s/g, ''), 'hex').equals(pack), 'the hex dump of the pack')
    for (const digest of [table.digest, index.digest, table.frames[0]?.digest]) {
      assert.ok(digest !== undefined && format.includes(digest), `FORMAT.md names ${digest}`)
    }
  })

  it('keep to the limits of FORMAT.md', () => {
    const format = readFileSync(new URL('index-format/FORMAT.md', ROOT), 'utf8')
    const rows = [...format.matchAll(/^\| `(?<name>[A-Z_0-9]+)` +\| (?<value>[\d,]+) +\|/gm)]
    assert.ok(rows.length > 20)
    const known = new Map<string, number>(Object.entries(limits))
    for (const { groups } of rows) {
      assert.equal(
        known.get(groups?.['name'] ?? ''),
        Number(groups?.['value']?.replaceAll(',', '')),
      )
    }
  })

  it('give their bytes or an error, never other bytes, when any bit of the pack flips', () => {
    const pack = fixture('example.pack')
    const digest = digestOf(pack)
    let refused = 0
    for (let at = 0; at < pack.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(pack)
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit)
        try {
          const reader = PackReader.open(accessOf(damaged), digest)
          assert.equal(Buffer.from(reader.readFrame(0)).toString(), EXAMPLE_TEXT)
        } catch (cause) {
          if (!(cause instanceof IndexFormatError)) throw cause
          refused++
          continue
        }
        assert.throws(() => {
          PackReader.open(accessOf(damaged), digest).verifyDigest()
        })
      }
    }
    assert.ok(refused > pack.length * 7, `${refused} refused`)
  })

  it('give values or an error of ours, never a crash, when bytes of the index change', () => {
    const seed = Date.now() & 0xffffff
    console.log(`      seed ${seed}`)
    const random = new Random(seed)
    const golden = fixture('example.index')
    const path = join(folder, 'damaged')
    const used = [...golden.keys()].filter((at) => at < 100 || golden[at] !== 0)
    let refused = 0
    for (const at of used) {
      const damaged = Buffer.from(golden)
      damaged[at] = random.below(256)
      if (random.below(4) === 0) damaged[random.below(golden.length)] = random.below(256)
      writeFileSync(path, damaged)
      try {
        const index = Index.open(path)
        try {
          readAll(index)
        } finally {
          index.close()
        }
      } catch (cause) {
        if (!(cause instanceof IndexFormatError)) throw cause
        refused++
      }
    }
    assert.ok(refused > used.length / 4, `${refused} of ${used.length} refused`)
  })

  it('are refused when they end early, wherever that is', () => {
    const golden = fixture('example.index')
    const path = join(folder, 'short')
    for (const length of [0, 1, 99, 100, 4095, 4096, 5000, 20_000, golden.length - 1]) {
      writeFileSync(path, golden.subarray(0, length))
      assert.throws(
        () => {
          const index = Index.open(path)
          try {
            readAll(index)
          } finally {
            index.close()
          }
        },
        { name: 'IndexFormatError', code: 'invalid-index' },
        `${length} bytes`,
      )
    }
    const pack = fixture('example.pack')
    for (let length = 0; length < pack.length; length++) {
      assert.throws(() => PackReader.open(accessOf(pack.subarray(0, length)), digestOf(pack)), {
        name: 'IndexFormatError',
      })
    }
  })
})
