/** Tests the reads that wait for content, with a file in the place of /dev/fuse. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Index, writeIndex } from '../../../index-format/index.js'
import { Filesystem } from '../../../fusefs/filesystem/filesystem.js'
import { LocalMirrors } from '../../../fusefs/transport/local-mirrors.js'
import type { MirrorMessage, Miss } from '../../../fusefs/transport/dispatcher-messages.js'
import { MissServer, type MissServerOptions } from '../../../fusefs/transport/miss-server.js'
import { ServerStats, StatsRow } from '../../../fusefs/transport/server-stats.js'
import { SingleTree } from '../../../fusefs/trees/single-tree.js'
import { SampleContent } from '../filesystem/sample-content.js'
import { SampleTree, patternBytes } from '../filesystem/sample-tree.js'
import { SampleLog } from './sample-log.js'

const { EIO, EINTR } = constants.errno
const FILE = patternBytes(200_000, 'file')
const MEMBERS = [
  { path: '', mode: 0o040755 },
  { path: 'file', mode: 0o100644, content: [FILE] },
]

describe('MissServer', () => {
  let dir: string
  let fd: number
  let content: SampleContent
  let trees: SingleTree
  let ino: number
  let stats: ServerStats
  let log: SampleLog
  let announced: MirrorMessage[]

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'thin-misses-'))
    fd = openSync(join(dir, 'replies'), 'a+')
    const tree = new SampleTree(MEMBERS)
    const path = join(dir, 'index')
    const { digest } = writeIndex(tree, { path, kind: 'merged', packs: [tree.pack.table] })
    content = new SampleContent([tree.pack])
    trees = new SingleTree({ indexDigest: digest, class: 'plain', stores: [] }, Index.open(path))
    ino = tree.lookup(1, Buffer.from('file')) ?? 0
    stats = new ServerStats(0)
    log = new SampleLog()
    announced = []
  })

  afterEach(() => {
    trees.close()
    content.close()
    closeSync(fd)
    rmSync(dir, { recursive: true })
  })

  function serverWith(options: Partial<MissServerOptions> = {}): MissServer {
    return new MissServer(
      { fd, ...options },
      {
        filesystem: new Filesystem({ root: 'tree' }, { trees }),
        content,
        completeIndex: () => Promise.reject(new Error('the index is complete')),
        onHead: undefined,
        stats: new StatsRow(stats.shared, 0),
        log,
        announce: (message) => void announced.push(message),
      },
    )
  }

  function miss(id: number, pid = 0): Miss {
    const at = 4096 * (id % 40)
    return { kind: 'miss', unique: { low: id, high: 0 }, slot: 0, ino, offset: at, size: 4096, pid }
  }

  /** The errnos that were answered, by the request's number; 0 for content. */
  function replies(): Map<number, number> {
    const bytes = readFileSync(join(dir, 'replies'))
    const found = new Map<number, number>()
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at)) {
      found.set(bytes.readUInt32LE(at + 8), Math.abs(bytes.readInt32LE(at + 4)))
    }
    return found
  }

  async function replied(count: number): Promise<Map<number, number>> {
    while (replies().size < count) await new Promise((resolve) => setTimeout(resolve, 5))
    return replies()
  }

  /** The id of a thread that was killed. */
  async function killedPid(): Promise<number> {
    const child = spawn('sleep', ['60'])
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    return child.pid ?? 0
  }

  it('lets a killed reader go that waits behind 64 others', async () => {
    content.beforeRead = () => new Promise(() => undefined)
    const server = serverWith()
    for (let id = 1; id <= 64; id++) server.take(miss(id))
    server.take(miss(65, await killedPid()))
    server.take(miss(66))
    assert.equal(content.reads, 64)
    server.interrupt({ low: 65, high: 0 })
    assert.deepEqual(await replied(1), new Map([[65, EINTR]]))
    assert.equal(content.reads, 64)
    assert.equal(server.pending, 65)
    server.abandon()
  })

  it('answers EIO to reads beyond those that may wait, at once, and counts them', async () => {
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    content.beforeRead = () => released
    const server = serverWith({ maxPending: 70 })
    for (let id = 1; id <= 72; id++) server.take(miss(id))
    assert.deepEqual(
      replies(),
      new Map([
        [71, EIO],
        [72, EIO],
      ]),
    )
    assert.equal(stats.counts().refused, 2)
    assert.equal(log.errors.length, 1)
    release()
    const answered = await replied(72)
    assert.equal([...answered.values()].filter((errno) => errno === 0).length, 70)
    await server.drained()
    server.take(miss(100))
    assert.equal((await replied(73)).get(100), 0)
  })

  it('ends a read that waits for its turn at its deadline', async () => {
    content.beforeRead = () => new Promise(() => undefined)
    const server = serverWith({ deadlineMs: 50 })
    for (let id = 1; id <= 70; id++) server.take(miss(id))
    const answered = await replied(70)
    assert.ok([...answered.values()].every((errno) => errno === EIO))
    assert.equal(content.reads, 64)
    assert.equal(server.pending, 0)
  })

  it('announces a mirror again that a dispatcher has forgotten', async () => {
    const server = serverWith()
    const messages: MirrorMessage[] = []
    const mirrors = new LocalMirrors(
      {
        receive: () => messages.shift(),
        onForgotten: (slot, pack) => {
          server.forgetMirror(slot, pack)
        },
      },
      { maxViews: 1 },
    )
    const target = Buffer.alloc(4096)
    server.take(miss(1))
    server.take(miss(2))
    await server.drained()
    const [first, ...others] = announced
    assert.ok(first !== undefined)
    assert.deepEqual(others, [])
    messages.push(first)
    assert.equal(mirrors.tryRead(0, first.pack, target, 0), true)
    // The mirror of another pack takes its place.
    messages.push({ ...first, pack: 12_345 })
    assert.equal(mirrors.tryRead(3, 7, target, 0), false)
    assert.equal(mirrors.tryRead(0, first.pack, target, 0), false)
    server.take(miss(3))
    await server.drained()
    assert.deepEqual(announced, [first, first])
    messages.push(first)
    assert.equal(mirrors.tryRead(0, first.pack, target, 0), true)
    assert.ok(target.equals(FILE.subarray(0, 4096)))
  })

  it('counts what a read has waited before it came', async () => {
    content.beforeRead = () => new Promise(() => undefined)
    const server = serverWith({ deadlineMs: 300_000 })
    server.take(miss(1), 299_990)
    assert.deepEqual(await replied(1), new Map([[1, EIO]]))
  })
})
