/** Tests `thinctl optimize` and `thinctl profile` with stock ctr and a real daemon. */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { profileFromBytes } from '../../index-format/index.js'
import type { OptimizeResult } from '../../snapshotter/publish/optimize/optimize-image.js'
import type { Machine } from '../sandbox/machine.js'
import { type ProgramResult, tryProgram } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl, thinctlCommand } from '../sandbox/thin-daemon.js'
import { type ImagePair, publish } from './thin-images.js'

const JSON_PROGRAM = ['python3', '-c', 'import json; print(json.dumps([1, 2]))']
const WORDS =
  'import os, time; print(os.environ["WORD"], open("/mnt/word").read(), input(), flush=True); time.sleep(1000)'
const SERVER = 'import sqlite3, time; print("rea" + "dy", flush=True); time.sleep(1000)'

describe('thinctl optimize', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let machine: Machine
  let pair: ImagePair

  before(async () => {
    sandbox = await Sandbox.start()
    machine = await sandbox.startMachine()
    pair = await publish(sandbox, 'python')
  })

  after(async () => {
    await sandbox.close()
  })

  it('publishes what a command reads until it ends', async () => {
    const target = sandbox.reference('python:1-json')
    const { stdout, stderr } = await optimize(target, ['--profile-out', file('json')], JSON_PROGRAM)
    assert.match(stderr, /\[1, 2\]\n/)
    assert.match(stderr, /until the container ended/)
    const result = JSON.parse(stdout) as OptimizeResult
    assert.equal(result.platforms[0]?.startup.packs, 1)
    assert.equal(result.carriedOver, 0)
    const profile = profileFromBytes(readFileSync(file('json')))
    assert.deepEqual(profile.commands, [JSON_PROGRAM.join(' ')])
    const { directories = [] } = profile
    assert.ok(directories.includes(1) && directories.length > 10, directories.join())
    await thinctl(['verify', target, pair.ordinary])
    await thinctl(['check', target])
    await machine.containerd.pull(target, 'thin')
    const run = await machine.containerd.run(target, JSON_PROGRAM, { snapshotter: 'thin' })
    assert.equal(run.stdout, '[1, 2]\n')
  })

  it('records until a line is printed, and ends the container then', async () => {
    const target = sandbox.reference('python:1-server')
    const args = ['--wait-for-line', 'ready', '--profile-out', file('server')]
    const { stderr } = await optimize(target, args, ['python3', '-c', SERVER])
    assert.match(stderr, /until the line was printed/)
    assert.equal((await machine.containerd.ctr(['containers', 'ls', '-q'])).stdout, '')
  })

  it('records a command as often as it is told, as one start', async () => {
    const target = sandbox.reference('python:1-runs')
    const { stdout, stderr } = await optimize(target, ['--runs', '2'], JSON_PROGRAM)
    assert.equal(stderr.match(/until the container ended/g)?.length, 2)
    const { platforms } = JSON.parse(stdout) as OptimizeResult
    assert.deepEqual(platforms[0]?.starts, [[JSON_PROGRAM.join(' ')]])
    await thinctl(['verify', target, pair.ordinary])
  })

  it('refuses to give several runs what is there for one', async () => {
    const target = sandbox.reference('python:1-refused')
    const input = await tryOptimize(target, ['--runs', '2', '--stdin'], JSON_PROGRAM)
    assert.equal(input.exitCode, 2)
    assert.match(input.stderr, /--runs 2: --stdin is there for one run/)
    const failed = await tryOptimize(target, ['--runs', '17'], JSON_PROGRAM)
    assert.equal(failed.exitCode, 2)
    assert.match(failed.stderr, /from 1 to 16/)
  })

  it('says what is missing where it is to record nothing', async () => {
    const failed = await tryOptimize(sandbox.reference('python:1-nothing'), ['--no-run'], [])
    assert.equal(failed.exitCode, 2)
    assert.match(failed.stderr, /--no-run: needs a --profile/)
  })

  it('takes profiles that were recorded before, one on top of the other', async () => {
    const target = sandbox.reference('python:1-both')
    const recorded = ['--profile', file('json'), '--profile', file('server')]
    const { stdout } = await optimize(target, ['--no-run', ...recorded], [])
    await thinctl(['profile', 'merge', file('merged'), file('json'), file('server')])
    const again = sandbox.reference('python:1-merged')
    const merged = await optimize(again, ['--no-run', '--profile', file('merged')], [])
    const [one, other] = [stdout, merged.stdout].map((text) => {
      return (JSON.parse(text) as OptimizeResult).platforms[0]
    })
    const difference = (one?.startup.sizeBytes ?? 0) / (other?.startup.sizeBytes ?? 0)
    const starts = one?.starts ?? []
    assert.deepEqual(starts[0], [JSON_PROGRAM.join(' ')])
    assert.match(starts[1]?.[0] ?? '', /import sqlite3/)
    assert.deepEqual(other?.starts, [starts.flat()])
    // Both startup packs have the same pages, in different orders.
    assert.ok(difference > 0.9 && difference < 1.1, `${difference}`)
  })

  it('optimizes an image that is optimized already', async () => {
    const source = sandbox.reference('python:1-json')
    const target = sandbox.reference('python:1-twice')
    const args = ['--no-run', '--profile', file('server')]
    const { stdout } = await optimize(target, args, [], source)
    assert.equal((JSON.parse(stdout) as OptimizeResult).platforms[0]?.starts.length, 2)
    await thinctl(['verify', target, pair.ordinary])
    await thinctl(['check', target])
    const { profiles } = JSON.parse(
      (await thinctl(['profile', 'show', '--json', target])).stdout,
    ) as {
      profiles: { origin: string; commands: string[]; files: { path: string }[] }[]
    }
    const namesSqlite = profiles.map(({ files }) => files.some(({ path }) => /sqlite/.test(path)))
    assert.deepEqual(namesSqlite, [false, true])
    const again = await optimize(target, [...args, '--replace'], [], target)
    assert.equal((JSON.parse(again.stdout) as OptimizeResult).platforms[0]?.starts.length, 1)
  })

  it('says which files a profile names', async () => {
    const show = ['profile', 'show', '--image', pair.thin, file('server')]
    const { stdout } = await thinctl(show)
    assert.match(stdout, /^command {3}python3 -c import sqlite3/m)
    assert.match(stdout, /KiB of \d+ KiB +\/usr\/bin\/python3\.\d+$/m)
    const json = JSON.parse((await thinctl([...show, '--json'])).stdout) as {
      files: { path: string; readBytes: number; sizeBytes: number; ranges: unknown[] }[]
    }
    const sqlite = json.files.find(({ path }) => path.includes('libsqlite3.so'))
    assert.ok(sqlite && sqlite.readBytes > 0 && sqlite.ranges.length > 0)
    assert.ok(json.files.every(({ readBytes, sizeBytes }) => readBytes < sizeBytes + 4096))
  })

  it('gives the container mounts, environment and standard input, and records until a signal', async () => {
    const target = sandbox.reference('python:1-signal')
    const mounted = join(sandbox.directory, 'mounted')
    mkdirSync(mounted)
    writeFileSync(join(mounted, 'word'), 'MOUNTED')
    const child = spawnOptimize(target, [
      ...['--mount', `type=bind,src=${mounted},dst=/mnt,options=rbind:ro`],
      ...['--env', 'WORD=ENVIRONMENT', '--stdin', '--wait-on-signal'],
    ])
    child.stdin.end('INPUT\n')
    let said = ''
    let isReady = false
    for await (const chunk of child.stderr) {
      said += String(chunk)
      // Only one signal: a second one would end the command itself.
      if (!isReady && said.includes('ENVIRONMENT MOUNTED INPUT')) isReady = child.kill('SIGINT')
    }
    assert.match(said, /until the signal/)
    const { stdout } = await thinctl(['profile', 'show', target])
    assert.match(stdout, /\/usr\/bin\/python3/)
    assert.equal((await machine.containerd.ctr(['containers', 'ls', '-q'])).stdout, '')
  })

  it('records each of several runs until a signal of its own', async () => {
    const target = sandbox.reference('python:1-signals')
    const waiting = 'import sys, time; print("READY"); sys.stdout.flush(); time.sleep(600)'
    const child = spawnOptimize(
      target,
      ['--runs', '2', '--wait-on-signal'],
      ['python3', '-c', waiting],
    )
    let said = ''
    let answered = 0
    for await (const chunk of child.stderr) {
      said += String(chunk)
      const ready = said.match(/^READY$/gm)?.length ?? 0
      for (; answered < ready; answered++) child.kill('SIGINT')
    }
    assert.equal(said.match(/until the signal/g)?.length, 2, said)
    assert.match((await thinctl(['profile', 'show', target])).stdout, /\/usr\/bin\/python3/)
    assert.equal((await machine.containerd.ctr(['containers', 'ls', '-q'])).stdout, '')
  })

  it('publishes nothing when the container fails, and says why', async () => {
    const target = sandbox.reference('python:1-fails')
    const failed = await tryOptimize(target, [], ['python3', '-c', 'raise SystemExit("so what")'])
    assert.notEqual(failed.exitCode, 0)
    assert.match(failed.stderr, /ended with status 1: so what/)
    await assert.rejects(thinctl(['inspect', target]))
    assert.equal((await machine.containerd.ctr(['containers', 'ls', '-q'])).stdout, '')
  })

  it('refuses an ordinary image', async () => {
    const target = sandbox.reference('python:1-none')
    const failed = await tryOptimize(target, [], ['true'], pair.ordinary)
    assert.equal(failed.exitCode, 2)
    assert.match(failed.stderr, /is not a thin image/)
  })

  function file(name: string): string {
    return join(sandbox.directory, `${name}.profile`)
  }

  async function optimize(
    target: string,
    options: readonly string[],
    command: readonly string[],
    source = pair.thin,
  ): Promise<ProgramResult> {
    const result = await tryOptimize(target, options, command, source)
    assert.equal(result.exitCode, 0, result.stderr)
    return result
  }

  function spawnOptimize(
    target: string,
    options: readonly string[],
    command = ['python3', '-c', WORDS],
  ): ChildProcessByStdio<Writable, null, Readable> {
    const [program = '', ...args] = commandOf(target, options, command, pair.thin)
    return spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] })
  }

  function tryOptimize(
    target: string,
    options: readonly string[],
    command: readonly string[],
    source = pair.thin,
  ): Promise<ProgramResult> {
    return tryProgram(commandOf(target, options, command, source))
  }

  function commandOf(
    target: string,
    options: readonly string[],
    command: readonly string[],
    source: string,
  ): string[] {
    const containerd = join(machine.directory, 'containerd', 'containerd.sock')
    const where = ['--config', machine.daemon.config, '--containerd-address', containerd]
    const database = ['--database', join(sandbox.directory, 'publish.db')]
    const args = ['optimize', '--json', ...where, ...database, ...options, source, target]
    return thinctlCommand([...args, '--', ...command])
  }
})
