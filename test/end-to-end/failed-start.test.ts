/** Tests that a start that cannot succeed leaves a running daemon and its containers as they are. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { eventually } from '../sandbox/eventually.js'
import { mountsBelow, unmountBelow } from '../sandbox/mounts.js'
import { processesUsing } from '../sandbox/processes.js'
import { type ProgramResult, tryProgram } from '../sandbox/program.js'
import { ThinContainer, TinyImages } from '../sandbox/thin-container.js'
import { daemonCommand, ThinDaemon, thinctl } from '../sandbox/thin-daemon.js'

describe('a start that cannot succeed', function () {
  this.timeout(180_000)
  let directory: string
  let images: TinyImages
  let daemon: ThinDaemon | undefined
  let container: ThinContainer | undefined

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'failed-start-'))
    images = await TinyImages.start(join(directory, 'store'))
  })

  afterEach(async () => {
    await container?.close()
    container = undefined
    await daemon?.close()
    daemon = undefined
    await unmountBelow(directory)
    assert.deepEqual(processesUsing(directory), [])
  })

  after(async () => {
    await images.close()
    rmSync(directory, { recursive: true })
  })

  it('leaves no mount, no process and no socket where nothing ran', async () => {
    const alone = join(directory, 'alone')
    const config = join(directory, 'alone.toml')
    writeFileSync(
      config,
      [
        ...[`root = "${alone}/root"`, `state = "${alone}/state"`],
        ...[`address = "${alone}/thin.sock"`, `admin_address = "${alone}/admin.sock"`],
        // The daemon finds out; the front cannot.
        ...['[registry."registry.test"]', 'username = "me"', `password_file = "${alone}/none"`],
        ...['ca = "/nonexistent/ca.pem"', ''],
      ].join('\n'),
    )
    const { exitCode, stderr } = await start(['--config', config])
    assert.notEqual(exitCode, 0, stderr)
    assert.deepEqual(mountsBelow(alone), [])
    assert.deepEqual(processesUsing(alone), [])
    assert.equal(existsSync(join(alone, 'state', 'keeper.sock')), false)
  })

  it('does not touch the running daemon when its configuration cannot be read or parsed', async () => {
    await run('config')
    const pid = await daemonPid()
    const broken = join(directory, 'broken.toml')
    writeFileSync(broken, 'root = [')
    for (const config of [broken, '/nonexistent/config.toml']) {
      const { exitCode } = await start(['--config', config])
      assert.equal(exitCode, 2)
    }
    assert.equal(await daemonPid(), pid)
    await reads('b')
  })

  it('does not touch the running daemon when its root is in use by another keeper', async () => {
    const { config, directory: own } = await run('root')
    const pid = await daemonPid()
    const other = join(directory, 'other.toml')
    writeFileSync(other, [`root = "${own}/root"`, `state = "${directory}/other"`, ''].join('\n'))
    const { exitCode, stderr } = await start(['--config', other])
    assert.equal(exitCode, 3, stderr)
    assert.match(stderr, /another keeper or its daemon serves this root/)
    assert.deepEqual(processesUsing(join(directory, 'other')), [])
    assert.equal(await daemonPid(), pid)
    await reads('b')
    await thinctl(['status', '--config', config])
  })

  it('gives the daemon back when the new one does not become ready', async () => {
    const { config } = await run('address')
    const pid = await daemonPid()
    const unready = join(directory, 'unready.toml')
    const own = daemon?.directory ?? ''
    const lines = [`root = "${own}/root"`, `state = "${own}/state"`]
    lines.push(`admin_address = "${own}/admin.sock"`)
    // There is something that is not a socket.
    writeFileSync(unready, [...lines, `address = "${own}/config.toml"`, ''].join('\n'))
    const { exitCode, stderr } = await start(['--config', unready])
    assert.equal(exitCode, 3, stderr)
    assert.match(stderr, /ended before it was ready \(status \d+\); the daemon that ran before/)
    const { stdout } = await eventually(() => thinctl(['status', '--json', '--config', config]))
    assert.notEqual((JSON.parse(stdout) as { pid: number }).pid, pid)
    assert.equal(daemon?.running, true)
    await reads('b')
  })

  it('does not happen with the path of a configuration that is relative', async () => {
    const { config } = await run('relative')
    const pid = await daemonPid()
    await daemon?.stopProgram()
    await daemon?.startProgram({ config: relative(process.cwd(), config) })
    assert.notEqual(await daemonPid(), pid)
    await reads('b')
  })

  async function run(name: string): Promise<ThinDaemon> {
    daemon = await ThinDaemon.start(join(directory, name))
    container = await ThinContainer.start(daemon, 'container', await images.make())
    return daemon
  }

  async function daemonPid(): Promise<number> {
    const { stdout } = await thinctl(['status', '--json', '--config', daemon?.config ?? ''])
    return (JSON.parse(stdout) as { pid: number }).pid
  }

  async function reads(name: 'a' | 'b'): Promise<void> {
    assert.ok(container !== undefined)
    assert.deepEqual(await container.read(name), container.expected(name))
  }

  async function start(args: readonly string[]): Promise<ProgramResult> {
    return tryProgram(daemonCommand(args), { timeoutMs: 60_000 })
  }
})
