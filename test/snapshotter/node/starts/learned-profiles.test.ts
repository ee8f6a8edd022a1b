import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, type Profile } from '../../../../index-format/index.js'
import { LearnedProfiles } from '../../../../snapshotter/node/starts/learned-profiles.js'

describe('LearnedProfiles', () => {
  let folder: string
  let warnings: string[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'learned-profiles-'))
    warnings = []
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  it('keeps profiles beyond its own life', async () => {
    await (await open()).put(profileOf(1))
    const again = await open()
    assert.deepEqual(await again.get(profileOf(1).index), profileOf(1))
    assert.equal(await again.get(profileOf(2).index), undefined)
    assert.equal(await again.forget(profileOf(1).index), true)
    assert.equal(await again.forget(profileOf(1).index), false)
    assert.deepEqual(warnings, [])
  })

  it('lets go what was used least recently', async () => {
    const profiles = await open({ maxProfiles: 2 })
    await profiles.put(profileOf(1))
    await profiles.put(profileOf(2))
    const long = new Date(Date.now() - 60_000)
    for (const { path } of await profiles.list()) utimesSync(path, long, long)
    await profiles.get(profileOf(1).index)
    await profiles.put(profileOf(3))
    const left = (await profiles.list()).map(({ index }) => index)
    assert.deepEqual(left.sort(), [profileOf(1).index, profileOf(3).index].sort())
  })

  it('keeps no more bytes than it may', async () => {
    const profiles = await open({ maxBytes: 500 })
    for (let number = 0; number < 10; number++) await profiles.put(profileOf(number))
    const sizeBytes = (await profiles.list()).reduce((sum, one) => sum + one.sizeBytes, 0)
    assert.ok(sizeBytes > 0 && sizeBytes <= 500)
    assert.ok(readdirSync(folder).every((name) => name.endsWith('.profile')))
  })

  it('passes over a damaged file', async () => {
    const profiles = await open()
    await profiles.put(profileOf(1))
    const [known] = await profiles.list()
    writeFileSync(known?.path ?? '', '{"version":1')
    assert.equal(await profiles.get(profileOf(1).index), undefined)
    assert.deepEqual(warnings, ['a learned profile cannot be read'])
  })

  function open(
    limits: { maxProfiles?: number; maxBytes?: number } = {},
  ): Promise<LearnedProfiles> {
    const silent = (): void => undefined
    const warn = (_fields: object, message: string): void => {
      warnings.push(message)
    }
    const log = { debug: silent, info: silent, warn, error: silent }
    return LearnedProfiles.open({ folder, ...limits }, { log })
  }
})

function profileOf(number: number): Profile {
  const index = digestOf(Buffer.from(String(number)))
  return { index, commands: [], ranges: [{ ino: number + 1, offset: 0, length: 4096 }] }
}
