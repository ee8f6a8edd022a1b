import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SnapshotterError } from '../../../snapshotter/index.js'
import { openRootDirectory } from '../../../snapshotter/node/root-directory.js'

describe('openRootDirectory', () => {
  let folder: string
  let root: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'root-directory-'))
    root = join(folder, 'root')
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  it('makes a folder that only its owner may enter', async () => {
    assert.equal(await openRootDirectory(root), undefined)
    assert.equal(modeOf(root), 0o700)
  })

  it('takes a folder that was made for it from other users, and returns the mode it had', async () => {
    mkdirSync(root)
    chmodSync(root, 0o755)
    for (const name of ['trees', 'plain', 'snapshots.db', 'snapshots.db-wal', 'lost+found']) {
      writeFileSync(join(root, name), '')
    }
    assert.equal(await openRootDirectory(root), 0o755)
    assert.equal(modeOf(root), 0o700)
    assert.equal(await openRootDirectory(root), undefined)
  })

  it('refuses an open folder in which others have files, and leaves it as it is', async () => {
    mkdirSync(root)
    chmodSync(root, 0o750)
    writeFileSync(join(root, 'of-somebody-else'), '')
    await assert.rejects(openRootDirectory(root), (error: unknown) => {
      assert.ok(error instanceof SnapshotterError)
      assert.equal(error.code, 'failed-precondition')
      assert.match(error.message, /mode 750\) and holds "of-somebody-else"/)
      return true
    })
    assert.equal(modeOf(root), 0o750)
  })
})

function modeOf(path: string): number {
  return statSync(path).mode & 0o7777
}
