import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../../../', import.meta.url))

describe('the list of tests that are no unit tests', () => {
  it('names only tests that are there', () => {
    const require = createRequire(import.meta.url)
    const settings = require(join(repository, 'test/house/unit-tests.cjs')) as { ignore: string[] }
    assert.ok(settings.ignore.length > 0)
    const stale = settings.ignore.filter(
      (path) => !existsSync(join(repository, path.replace(/\*\*$/, ''))),
    )
    assert.deepEqual(stale, [])
  })
})
