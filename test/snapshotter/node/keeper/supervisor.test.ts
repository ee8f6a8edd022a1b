import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeeperEvent } from '../../../../snapshotter/node/keeper/keeper-protocol.js'
import { Supervisor } from '../../../../snapshotter/node/keeper/supervisor.js'

const REFUSAL = 2
type Life = (say: (event: KeeperEvent) => void) => void

/** A keeper whose daemons live as the test says, one life after the other. */
class ScriptedKeeper {
  readonly folder = mkdtempSync(join(tmpdir(), 'supervisor-'))
  readonly socketPath = join(this.folder, 'keeper.sock')
  readonly #lives: Life[]
  readonly #server: Server
  starts = 0

  constructor(lives: readonly Life[]) {
    this.#lives = [...lives]
    this.#server = createServer((socket) => {
      this.#serve(socket)
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.socketPath, resolve))
  }

  close(): void {
    this.#server.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #serve(socket: Socket): void {
    socket.on('error', () => undefined)
    socket.on('data', () => {
      this.starts++
      this.#lives.shift()?.((event) => socket.write(`${JSON.stringify(event)}\n`))
    })
  }
}

describe('Supervisor', () => {
  let keeper: ScriptedKeeper | undefined
  /** What the clock shows, one reading after the other: at `ready`, and at the end. */
  let readingsMs: number[]
  let pauses: number[]
  let warnings: string[]

  beforeEach(() => {
    readingsMs = []
    pauses = []
    warnings = []
  })

  afterEach(() => {
    keeper?.close()
    keeper = undefined
  })

  const died: KeeperEvent = { event: 'exited', code: 1, signal: null }
  const started: KeeperEvent = { event: 'started', pid: 1, tellsReady: true }
  /** A daemon that is ready after `startMs` and then serves for `serveMs`. */
  const serves =
    (startMs: number, serveMs: number): Life =>
    (say) => {
      readingsMs.push(startMs, startMs + serveMs)
      say(started)
      say({ event: 'ready' })
      say(died)
    }
  const fails: Life = (say) => {
    say(started)
    say(died)
  }
  const refuses: Life = (say) => {
    say(started)
    say({ event: 'exited', code: REFUSAL, signal: null })
  }
  const ends: Life = (say) => {
    say({ event: 'stopped' })
  }

  async function supervise(lives: readonly Life[]): Promise<void> {
    keeper = new ScriptedKeeper(lives)
    await keeper.listen()
    await Supervisor.run(
      {
        socketPath: keeper.socketPath,
        daemonCommand: ['daemon'],
        mounts: [],
        refusalStatus: REFUSAL,
        watchdogMs: 0,
        standby: false,
      },
      {
        output: () => undefined,
        warn: (message) => warnings.push(message),
        clock: {
          nowMs: () => readingsMs.shift() ?? Number.NaN,
          pause: (ms) => {
            pauses.push(ms)
            return Promise.resolve()
          },
        },
      },
      new AbortController().signal,
    )
  }

  it('starts a daemon that has served for long at once', async () => {
    await supervise([serves(60_000, 10_000), ends])
    assert.deepEqual(pauses, [0])
    assert.match(warnings[0] ?? '', /\(status 1\) after it had served for 10000 ms/)
  })

  it('counts from ready, however long a start takes', async () => {
    const slow = serves(60_000, 9_999)
    await supervise([slow, slow, slow, ends])
    assert.deepEqual(pauses, [100, 200, 400])
  })

  it('never gives up once a daemon was ready, and pauses longer and longer', async () => {
    await supervise([serves(1, 1), ...Array.from({ length: 11 }, () => fails), refuses, ends])
    assert.equal(keeper?.starts, 14)
    assert.deepEqual(pauses.slice(0, 8), [100, 200, 400, 800, 1600, 3200, 6400, 10_000])
    assert.deepEqual(new Set(pauses.slice(8)), new Set([10_000]))
    assert.match(warnings[1] ?? '', /before it was ready; the mounts wait, starting another/)
  })

  it('counts anew after a daemon that has served for long', async () => {
    await supervise([serves(1, 1), fails, serves(1, 20_000), fails, ends])
    assert.deepEqual(pauses, [100, 200, 0, 100])
  })

  it('gives up after five daemons that were never ready, where no container waits', async () => {
    await assert.rejects(supervise([fails, fails, fails, fails, fails, ends]), {
      code: 'internal',
      message: /ended 5 times before it was ready/,
    })
    assert.equal(keeper?.starts, 5)
  })

  it('gives up at once when the first daemon refuses to run', async () => {
    await assert.rejects(supervise([refuses, ends]), { code: 'invalid-argument' })
    assert.equal(keeper?.starts, 1)
  })

  it('ends in order when somebody else shuts the keeper down while it pauses', async () => {
    await supervise([
      (say) => {
        say(started)
        say(died)
        say({ event: 'done' })
      },
    ])
    assert.equal(keeper?.starts, 1)
  })
})
