import assert from 'node:assert/strict'
import fs, { mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { readMirrorState, writeMirrorState } from '../../../fusefs/content/disk/mirror-state.js'

const ID = `${'ab'.repeat(32)}-1`
const state = {
  ...{ rawSizeBytes: 300, presentBytes: 100, lastUsedMs: 5, mtimeNs: 7n, ino: 9n },
  present: Uint8Array.of(1, 0, 0),
}

describe('writeMirrorState', () => {
  let directory: string
  /** What the file system was asked for, in order. */
  let calls: string[]

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mirror-state-'))
    calls = []
    const { fsyncSync, renameSync } = fs
    mock.method(fs, 'fsyncSync', (fd: number) => {
      calls.push(`sync ${readlinkSync(`/proc/self/fd/${fd}`).slice(directory.length)}`)
      fsyncSync(fd)
    })
    mock.method(fs, 'renameSync', (from: string, to: string) => {
      calls.push(`rename ${from.slice(directory.length)} ${to.slice(directory.length)}`)
      renameSync(from, to)
    })
    syncBuiltinESMExports()
  })

  afterEach(() => {
    mock.restoreAll()
    syncBuiltinESMExports()
    rmSync(directory, { recursive: true })
  })

  it('syncs a durable file before it is renamed, and the directory after that', () => {
    const path = join(directory, 'a.state')
    writeMirrorState({ path, id: ID, state, durable: true })
    assert.deepEqual(calls, ['sync /a.state.tmp', 'rename /a.state.tmp /a.state', 'sync '])
    assert.deepEqual(readMirrorState(path, ID), state)
  })

  it('syncs nothing where the file need not be durable', () => {
    const path = join(directory, 'a.state')
    writeMirrorState({ path, id: ID, state, durable: false })
    assert.deepEqual(calls, ['rename /a.state.tmp /a.state'])
    assert.deepEqual(readMirrorState(path, ID), state)
  })
})
