import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { digestOf } from '../../../index-format/index.js'
import { publishTree, type PublishedTree } from '../inspect/published-tree.js'
import { LARGE, SAMPLE_LAYER } from '../inspect/sample-layer.js'
import { runThinctl, THINCTL } from './run-thinctl.js'

const run = promisify(execFile)
/** A program that touches the mount must not wait for ever. */
const LIMITED = { timeout: 30_000, killSignal: 'SIGKILL' } as const

describe('thinctl mount', function () {
  this.timeout(120_000)
  let folder: string
  let mountpoint: string
  let published: PublishedTree
  let running: ChildProcess | undefined

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-mount-'))
    mountpoint = join(folder, 'mount point')
    mkdirSync(mountpoint)
    published = await publishTree(join(folder, 'store'), SAMPLE_LAYER)
    published.layer.close()
  })

  afterEach(async () => {
    running?.kill('SIGKILL')
    running = undefined
    await run('umount', ['-l', mountpoint]).catch(() => undefined)
  })

  after(() => {
    rmSync(folder, { recursive: true })
  })

  /** Starts `thinctl mount`. Resolves when it prints that the tree is mounted. */
  async function mount(...more: string[]): Promise<{ ended: Promise<number | null> }> {
    const args = [THINCTL, 'mount', published.indexPath, mountpoint, '--store', published.storeUrl]
    args.push(...more)
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] })
    running = child
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    let said = ''
    const ready = new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes('is mounted at')) resolve()
      })
      void ended.then(() => {
        reject(new Error(said))
      })
    })
    await ready
    return { ended }
  }

  function isMounted(): boolean {
    return readFileSync('/proc/self/mountinfo', 'utf8').includes('mount\\040point')
  }

  it('shows the tree, and takes it away at SIGINT', async () => {
    const { ended } = await mount()
    const { stdout } = await run('sha256sum', [join(mountpoint, 'usr/lib/large.so')], LIMITED)
    assert.equal(`sha256:${stdout.replace(/^\\/, '').slice(0, 64)}`, digestOf(LARGE))
    const caps = await run('getcap', [join(mountpoint, 'bin/ping')], LIMITED)
    assert.match(caps.stdout, /cap_net_raw/)
    await assert.rejects(run('touch', [join(mountpoint, 'new')], LIMITED))
    running?.kill('SIGINT')
    assert.equal(await ended, 0)
    assert.equal(isMounted(), false)
  })

  it('ends when somebody else unmounts', async () => {
    const { ended } = await mount()
    await run('umount', [mountpoint], LIMITED)
    assert.equal(await ended, 0)
  })

  it('does the same through libfuse, for those who may not mount', async () => {
    const { ended } = await mount('--transport', 'native')
    const { stdout } = await run('sha256sum', [join(mountpoint, 'usr/lib/large.so')], LIMITED)
    assert.equal(`sha256:${stdout.replace(/^\\/, '').slice(0, 64)}`, digestOf(LARGE))
    running?.kill('SIGINT')
    assert.equal(await ended, 0)
    assert.equal(isMounted(), false)
    const second = await mount('--transport', 'native')
    await run('umount', [mountpoint], LIMITED)
    assert.equal(await second.ended, 0)
  })

  it('refuses a place that is not there, a layer that is not there, and a tree without a store', async () => {
    const store = ['--store', published.storeUrl]
    const nowhere = await runThinctl('mount', published.indexPath, join(folder, 'none'), ...store)
    assert.deepEqual(
      [nowhere.status, /no such directory/.test(nowhere.err)],
      [2, true],
      nowhere.err,
    )
    const file = await runThinctl('mount', published.indexPath, published.indexPath, ...store)
    assert.deepEqual([file.status, /not a directory/.test(file.err)], [2, true], file.err)
    const storeless = await runThinctl('mount', published.indexPath, mountpoint)
    assert.deepEqual([storeless.status, /--store/.test(storeless.err)], [2, true], storeless.err)
    assert.equal(isMounted(), false)
  })
})
