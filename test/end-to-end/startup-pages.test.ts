/**
 * Tests an image whose layer has startup pages instead of the whole index: it is served at once,
 * and the index is completed afterwards.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  bytesFromRecipe,
  bytesFromStartupPages,
  digestOf,
  type Recipe,
  recipeFromBytes,
  startupPagesFromBytes,
} from '../../index-format/index.js'
import type { Machine } from '../sandbox/machine.js'
import { tryProgram } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl, thinctlCommand } from '../sandbox/thin-daemon.js'
import { ThinReader } from '../snapshotter/publish/convert/thin-reader.js'
import { logged } from './daemon-log.js'
import { type ImagePair, publish } from './thin-images.js'

/** The failing `cd` also records what a shell reads when it cannot enter a directory. */
const COMMAND = [
  ...['sh', '-c'],
  `cd /none 2> /dev/null; python3 -c 'import json; print(json.dumps({"answer": 6 * 7}))'`,
]
/** A command that reads no more than COMMAND. */
const IDLE = ['python3', '-c', 'import json, time; time.sleep(600)']
const OUTPUT = '{"answer": 42}\n'
/** Prints the names, types and link targets of all files. */
const EVERYTHING = ['find', '/usr', '/etc', '/var', '-printf', '%p %y %l\\n']
const COMPLETE = 'the rest of an index is here'
const thin = { snapshotter: 'thin' }

describe('an image with startup pages', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let machine: Machine
  let pair: ImagePair
  let optimized: string
  let recipe: Recipe
  let files: ReadonlyMap<string, Buffer>
  /** The output of EVERYTHING. */
  let expected: string

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'python')
    optimized = sandbox.reference('python:1-optimized')
    const recording = await sandbox.startMachine()
    const socket = join(recording.directory, 'containerd', 'containerd.sock')
    const where = ['--config', recording.daemon.config, '--containerd-address', socket]
    const database = ['--database', join(sandbox.directory, 'publish.db')]
    await thinctl(['optimize', ...where, ...database, pair.thin, optimized, '--', ...COMMAND])
    await recording.containerd.pull(pair.ordinary, 'overlayfs')
    const found = await recording.containerd.run(pair.ordinary, EVERYTHING, {
      snapshotter: 'overlayfs',
    })
    expected = sorted(found.stdout)
    await sandbox.closeMachine(recording)
    const reader = new ThinReader(`http://${optimized.replace(/\/.*/, '')}/v2/python`)
    const layer = await reader.layer(await reader.manifest('1-optimized'))
    files = layer.files
    recipe = recipeFromBytes(layer.files.get('thin.json') ?? Buffer.alloc(0))
  })

  beforeEach(async () => {
    machine = await sandbox.startMachine()
  })

  afterEach(async () => {
    await sandbox.proxy.refuse(false)
    await sandbox.closeMachine(machine)
  })

  after(async () => {
    await sandbox.close()
  })

  it('brings them instead of the index, and much less', async () => {
    const { merged, startup } = recipe.thin ?? {}
    assert.ok(merged !== undefined && startup?.pages !== undefined)
    assert.equal(merged.embedded, undefined)
    assert.ok(startup.pages.sizeBytes * 2 < merged.blob.sizeBytes)
    await thinctl(['check', optimized])
    await thinctl(['verify', optimized, pair.ordinary])
  })

  it('starts without the rest of the index, and has it some seconds later', async () => {
    await machine.containerd.pull(optimized, 'thin')
    await logged(machine, 'the start of an image is here')
    sandbox.proxy.reset()
    const { stdout } = await machine.containerd.run(optimized, COMMAND, thin)
    assert.equal(stdout, OUTPUT)
    assert.equal(sandbox.proxy.traffic.requests, 0, sandbox.proxy.requestLines.join('\n'))
    assert.doesNotMatch(machine.daemon.log(), new RegExp(COMPLETE))
    assert.match(await status(), /, a part of its index, 1 snapshots/)
    await logged(machine, COMPLETE)
    assert.doesNotMatch(await status(), /a part of its index/)
    const again = await machine.containerd.run(optimized, COMMAND, thin)
    assert.equal(again.stdout, OUTPUT)
  })

  it('waits for the rest where a program looks elsewhere', async () => {
    await machine.containerd.pull(optimized, 'thin')
    const { stdout } = await machine.containerd.run(optimized, EVERYTHING, thin)
    assert.equal(sorted(stdout), expected)
    await logged(machine, COMPLETE)
  })

  it('answers an error while the rest cannot be had, and goes on when it can', async () => {
    const { containerd } = machine
    await containerd.pull(optimized, 'thin')
    await logged(machine, 'the start of an image is here')
    const container = await containerd.start(optimized, IDLE, thin)
    const enter = async (folder: string): Promise<string> => {
      const command = ['sh', '-c', `cd ${folder} 2> /dev/null && echo there || echo error`]
      return (await containerd.exec(container, command)).stdout
    }
    // The first `enter` runs the program once, so that the program itself needs nothing later.
    assert.equal(await enter('/usr/bin'), 'there\n')
    await sleep(1_000)
    await sandbox.proxy.refuse(true)
    assert.equal(await enter('/usr/bin'), 'there\n')
    assert.equal(await enter('/usr/share/doc/base-files'), 'error\n')
    await sandbox.proxy.refuse(false)
    assert.equal(await enter('/usr/share/doc/base-files'), 'there\n')
    await containerd.remove(container)
    const said = machine.daemon.log().match(/requests wait for an index that cannot be had/g)
    assert.equal(said?.length, 1)
  })

  it('lets a program be killed while it waits for the rest', async () => {
    const { containerd } = machine
    await containerd.pull(optimized, 'thin')
    const container = await containerd.start(optimized, IDLE, thin)
    sandbox.registry.kill('SIGSTOP')
    try {
      const waiting = containerd.exec(container, ['sh', '-c', 'cd /usr/share/doc/base-files'])
      const ended = waiting.catch(() => undefined)
      await sleep(1_500)
      const startedMs = performance.now()
      await containerd.ctr(['task', 'kill', '--all', '--signal', 'SIGKILL', container.id])
      await ended
      assert.ok(performance.now() - startedMs < 10_000)
    } finally {
      sandbox.registry.kill('SIGCONT')
    }
    await containerd.remove(container)
  })

  it('is completed by the next daemon when one is killed', async () => {
    const { containerd, daemon } = machine
    await containerd.pull(optimized, 'thin')
    const container = await containerd.start(optimized, IDLE, thin)
    const { pid } = JSON.parse(
      (await thinctl(['status', '--json', '--config', daemon.config])).stdout,
    ) as { pid: number }
    assert.doesNotMatch(daemon.log(), new RegExp(COMPLETE))
    process.kill(pid, 'SIGKILL')
    const { stdout } = await containerd.exec(container, EVERYTHING)
    assert.equal(sorted(stdout), expected)
    await logged(machine, COMPLETE)
    await containerd.remove(container)
  })

  it('is refused by check where the pages are not those of the index', async () => {
    const { merged, startup } = recipe.thin ?? {}
    assert.ok(recipe.thin && merged && startup?.pages)
    const bytes = files.get(startup.pages.file) ?? Buffer.alloc(0)
    const { numbers, bytes: pages } = startupPagesFromBytes(bytes, merged.sizeBytes)
    const changed = Buffer.from(pages)
    changed.writeUInt8(changed.readUInt8(changed.length - 10) ^ 1, changed.length - 10)
    const lying = bytesFromStartupPages({ numbers, bytes: changed })
    const ref = { ...startup.pages, digest: digestOf(lying), sizeBytes: lying.length }
    const last = numbers.at(-1) ?? 0
    const folder = unpacked('lying', lying, { ...startup, pages: ref })
    assert.deepEqual(await findings(folder), [`page ${last}`])
    assert.deepEqual(await findings(unpacked('torn', lying, startup)), [startup.pages.file])
    assert.deepEqual(await findings(unpacked('missing', undefined, startup)), [startup.pages.file])
  })

  async function status(): Promise<string> {
    return (await thinctl(['status', '--config', machine.daemon.config])).stdout
  }

  /** Writes the thin layer into a folder, with other startup pages or none. */
  function unpacked(
    name: string,
    pages: Uint8Array | undefined,
    startup: NonNullable<Recipe['thin']>['startup'],
  ): string {
    const folder = join(sandbox.directory, name)
    mkdirSync(folder)
    for (const [file, bytes] of files) {
      if (file === recipe.thin?.startup?.pages?.file) continue
      writeFileSync(join(folder, file), bytes)
    }
    if (pages !== undefined)
      writeFileSync(join(folder, recipe.thin?.startup?.pages?.file ?? ''), pages)
    const { thin: section } = recipe
    assert.ok(section && startup)
    writeFileSync(
      join(folder, 'thin.json'),
      bytesFromRecipe({ ...recipe, thin: { ...section, startup } }),
    )
    assert.ok(readFileSync(join(folder, 'thin.json')).length > 0)
    return folder
  }

  /**
   * Runs `thinctl check`, which must find only wrong startup pages. Returns the last word of each
   * place.
   */
  async function findings(folder: string): Promise<string[]> {
    const result = await tryProgram(thinctlCommand(['check', '--json', '--no-packs', folder]))
    assert.equal(result.exitCode, 1, result.stderr)
    const report = JSON.parse(result.stdout) as { findings: { code: string; where: string }[] }
    assert.deepEqual(
      new Set(report.findings.map(({ code }) => code)),
      new Set(['wrong-startup-pages']),
    )
    return report.findings.map(({ where }) => where.replace(/^.*(?:, |file )/, ''))
  }
})

function sorted(lines: string): string {
  return lines.split('\n').sort().join('\n')
}
