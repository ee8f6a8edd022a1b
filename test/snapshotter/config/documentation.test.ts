import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Key } from '../../../snapshotter/config/key.js'
import { KEYS, REGISTRY_KEYS, STORE_KEYS } from '../../../snapshotter/config/keys.js'

const ROOT = new URL('../../../../', import.meta.url)

/**
 * Returns the rows of all tables whose first column is headed `heading`, each as "key | type |
 * default".
 */
function rowsOf(markdown: string, heading: string): string[] {
  const rows: string[] = []
  let inTable = false
  for (const line of markdown.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim())
    if (cells.length < 5) inTable = false
    else if (cells[1] === heading) inTable = true
    else if (inTable && cells[1]?.startsWith('---') !== true) {
      assert.ok((cells[4] ?? '').length > 10, `${cells[1] ?? ''} is not explained`)
      rows.push(cells.slice(1, 4).join(' | '))
    }
  }
  return rows
}

function expectedRows(keys: Readonly<Record<string, Key<unknown>>>): string[] {
  return Object.values(keys).map(({ path, type, fallback }) => {
    const text = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``
    return [`\`${path}\``, type, text].join(' | ')
  })
}

describe('docs/configuration.md', () => {
  it('lists the keys of the code, with their types and defaults', async () => {
    const markdown = await readFile(new URL('docs/configuration.md', ROOT), 'utf8')
    assert.deepEqual(rowsOf(markdown, 'Key'), expectedRows(KEYS))
    assert.deepEqual(rowsOf(markdown, 'Key of `[[store]]`'), expectedRows(STORE_KEYS))
    assert.deepEqual(rowsOf(markdown, 'Key of `[registry."host"]`'), expectedRows(REGISTRY_KEYS))
  })
})

describe('deploy/config.toml', () => {
  it('shows every key', async () => {
    const text = await readFile(new URL('deploy/config.toml', ROOT), 'utf8')
    for (const { path } of Object.values({ ...KEYS, ...STORE_KEYS, ...REGISTRY_KEYS })) {
      assert.match(text, new RegExp(`^(# )?${path.slice(path.lastIndexOf('.') + 1)} = `, 'm'))
    }
  })
})
