import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { escapeName, unescapePath } from '../../../snapshotter/trees/escape-name.js'

const NAMES: [string, Uint8Array, string][] = [
  ['plain ASCII', Buffer.from('a-b_c.d~'), 'a-b_c.d~'],
  ['a space and a backslash', Buffer.from('a b\\c'), 'a\\ b\\\\c'],
  ['a newline and a tab', Buffer.from('a\nb\tc'), 'a\\nb\\tc'],
  ['a terminal sequence', Buffer.from('\x1b[2J'), '\\033[2J'],
  ['a C1 control in UTF-8', Buffer.from('\u009b1m'), '\\302\\2331m'],
  ['Latin-1', Buffer.from('caf\xe9', 'latin1'), 'caf\\351'],
  ['UTF-8', Buffer.from('café 日本'), 'café\\ 日本'],
  ['text that turns its direction', Buffer.from('\u202eabc'), '\\342\\200\\256abc'],
  ['an overlong slash', Buffer.from([0xc0, 0xaf]), '\\300\\257'],
  ['half a surrogate', Buffer.from([0xed, 0xa0, 0x80]), '\\355\\240\\200'],
  ['a cut character', Buffer.from([0x61, 0xe6, 0x97]), 'a\\346\\227'],
  ['a character beyond the BMP', Buffer.from('🐳'), '🐳'],
]

describe('escapeName', () => {
  for (const [what, name, printed] of NAMES) {
    it(`prints ${what} as ${printed}`, () => {
      assert.equal(escapeName(name), printed)
    })
    it(`reads ${what} back`, () => {
      assert.deepEqual(Buffer.from(unescapePath(printed)), Buffer.from(name))
    })
  }

  it('prints what ls -b prints', () => {
    const folder = mkdtempSync(join(tmpdir(), 'thin-escape-'))
    try {
      // Only ASCII names, because which other bytes are printable depends on the locale.
      const names = NAMES.map(([, name]) => name).filter((name) =>
        name.every((byte) => byte < 0x80),
      )
      for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), '')
      const listed = execFileSync('ls', ['-b', '-U', '-1', folder], {
        env: { ...process.env, LC_ALL: 'C' },
        encoding: 'utf8',
      })
      assert.deepEqual(
        listed.trimEnd().split('\n').sort(),
        names.map((name) => escapeName(name)).sort(),
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
