import assert from 'node:assert/strict'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeTree } from '../../../snapshotter/snapshots/remove-tree.js'

describe('removing what a snapshot has written', () => {
  let directory: string
  let tree: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'thin-remove-tree-'))
    tree = join(directory, 'tree')
    mkdirSync(join(tree, 'fs', 'usr', 'lib'), { recursive: true })
    mkdirSync(join(tree, 'work', 'work'), { recursive: true, mode: 0o711 })
    writeFileSync(join(tree, 'fs', 'usr', 'lib', 'written'), 'by the container')
  })

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true })
  })

  it('removes symbolic links, also broken ones, and leaves what they lead to', async () => {
    const outside = join(directory, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'kept'), '')
    symlinkSync(outside, join(tree, 'fs', 'link'))
    symlinkSync('nowhere', join(tree, 'fs', 'broken'))
    await removeTree(tree)
    assert.equal(existsSync(tree), false)
    assert.ok(existsSync(join(outside, 'kept')))
  })

  it('is done where there is nothing', async () => {
    await removeTree(join(directory, 'nothing'))
  })

  it('says what it could not remove', async () => {
    const file = join(tree, 'fs', 'usr', 'lib', 'written')
    await assert.rejects(removeTree(join(file, 'below a file')), { code: 'ENOTDIR' })
  })
})
