import assert from 'node:assert/strict'
import { eventually } from '../../../sandbox/eventually.js'
import { daemonOf, RunningKeeper, SERVES } from './running-keeper.js'

describe('Keeper', () => {
  let keeper: RunningKeeper

  beforeEach(async () => {
    keeper = await RunningKeeper.start()
  })

  afterEach(async () => {
    await keeper.close()
  })

  it('tells when a daemon serves', async () => {
    const front = await keeper.connect()
    front.client.start(daemonOf(SERVES), [])
    assert.equal((await front.next('started')).tellsReady, true)
    await front.next('ready')
  })

  it('lets a front go when the daemon of the next one serves', async () => {
    const first = await keeper.connect()
    const second = await keeper.connect()
    first.client.start(daemonOf(SERVES), [])
    await first.next('ready')
    second.client.start(daemonOf(SERVES), [])
    await second.next('ready')
    await first.next('stopped')
    assert.deepEqual(
      first.events.filter(({ event }) => event !== 'started'),
      [],
    )
  })

  for (const [how, script, why] of [
    ['ends', 'process.exit(5)', /\(status 5\)/],
    ['is killed', "process.kill(process.pid, 'SIGKILL')", /\(SIGKILL\)/],
  ] as const) {
    it(`gives a front its daemon back when the one that replaces it ${how}`, async () => {
      const first = await keeper.connect()
      const second = await keeper.connect()
      first.client.start(daemonOf(SERVES), [])
      const { pid } = await first.next('started')
      await first.next('ready')
      second.client.start(daemonOf(script), [])
      const { message } = await second.next('failed')
      assert.match(message, why)
      assert.match(message, /the daemon that ran before was started again/)
      assert.notEqual((await first.next('started')).pid, pid)
      await first.next('ready')
      assert.deepEqual(first.events, [])
    })
  }

  it('gives a front its daemon back when the program of the new one does not exist', async () => {
    const first = await keeper.connect()
    const second = await keeper.connect()
    first.client.start(daemonOf(SERVES), [])
    await first.next('ready')
    second.client.start(['/nonexistent/program'], [])
    assert.match((await second.next('failed')).message, /cannot run \/nonexistent\/program/)
    await first.next('ready')
  })

  it('gives a front its daemon back when the next one leaves before its daemon serves', async () => {
    const first = await keeper.connect()
    const second = await keeper.connect()
    first.client.start(daemonOf(SERVES), [])
    await first.next('ready')
    second.client.start(daemonOf('setInterval(() => undefined, 1000)'), [])
    await second.next('started')
    second.client.close()
    await first.next('ready')
  })

  it('goes on with the version before when the front of that one has left', async () => {
    const first = await keeper.connect()
    first.client.start(daemonOf(SERVES), [])
    await first.next('ready')
    first.client.stop()
    await first.next('stopped')
    first.client.close()
    const second = await keeper.connect()
    second.client.start(daemonOf('process.exit(5)'), [])
    await second.next('ready')
    const { stream, text } = await second.next('output')
    assert.equal(stream, 'stderr')
    assert.match(text, /ended before it was ready \(status 5\); the one before goes on: /)
    assert.deepEqual(
      second.events.filter(({ event }) => event !== 'started'),
      [],
    )
  })

  it('tells a front that its daemon died when no other program is known to work', async () => {
    const front = await keeper.connect()
    const failing = daemonOf('process.exit(5)')
    for (let life = 0; life < 2; life++) {
      front.client.start(failing, [])
      assert.deepEqual(await front.next('exited'), { event: 'exited', code: 5, signal: null })
    }
  })

  it('refuses what it cannot start without a touch to the daemon that runs', async () => {
    const first = await keeper.connect()
    const second = await keeper.connect()
    first.client.start(daemonOf(SERVES), [])
    await first.next('ready')
    second.client.start([], [])
    await second.next('failed')
    second.client.start(daemonOf(SERVES), [{ name: 'plain', mountpoint: '/dev/null/plain' }])
    await second.next('failed')
    first.client.stop()
    await first.next('stopped')
    assert.deepEqual(
      first.events.filter(({ event }) => event !== 'started'),
      [],
    )
  })

  it('tells of every ping that the daemon answers', async () => {
    const front = await keeper.connect()
    const answers = "process.on('message', ({ kind }) => { if (kind === 'ping') say('pong') })"
    front.client.start(daemonOf(`${SERVES}; ${answers}`), [], { watchdogMs: 200 })
    for (let sign = 0; sign < 3; sign++) await front.next('alive')
    assert.deepEqual(
      front.events.filter(({ event }) => event === 'exited'),
      [],
    )
  })

  for (const [how, script] of [
    ['is in an endless loop', 'for (;;);'],
    ['was stopped with SIGSTOP', "process.kill(process.pid, 'SIGSTOP')"],
    ['has lost an event', "process.removeAllListeners('message')"],
  ] as const) {
    it(`kills a daemon that ${how}`, async () => {
      const front = await keeper.connect()
      const answers = `process.on('message', ({ kind }) => { say('pong'); ${script} });`
      front.client.start(daemonOf(`${SERVES}; ${answers}`), [], { watchdogMs: 200 })
      await front.next('ready')
      assert.deepEqual(await front.next('exited'), {
        event: 'exited',
        code: null,
        signal: 'SIGKILL',
      })
      assert.match((await front.next('output')).text, /the daemon did not answer for \d+ ms/)
    })
  }

  it('leaves a daemon in peace that was started without a watchdog', async () => {
    const front = await keeper.connect()
    front.client.start(daemonOf(`${SERVES}; process.on('message', () => process.exit(7))`), [])
    await front.next('ready')
    front.client.stop()
    await front.next('stopped')
    assert.deepEqual(
      front.events.filter(({ event }) => event !== 'started'),
      [],
    )
  })

  describe('with a standby', () => {
    /** As a daemon it serves; as a standby it tells its pid, and serves when it is asked to. */
    const STANDS_BY = `
      process.on('SIGTERM', () => process.exit(0));
      if (!process.argv.includes('--standby')) say('ready');
      else process.stdout.write(String(process.pid));
      process.on('message', ({ kind }) => { if (kind === 'serve') say('ready') })`

    it('has it take over when the daemon dies, and loads the next one', async () => {
      const front = await keeper.connect()
      front.client.start(daemonOf(STANDS_BY), [], { standby: true })
      const { pid } = await front.next('started')
      await front.next('ready')
      let victim = pid
      for (let life = 0; life < 2; life++) {
        const standby = Number((await front.next('output')).text)
        assert.notEqual(standby, victim)
        process.kill(victim, 'SIGKILL')
        await front.next('exited')
        front.client.start(daemonOf(STANDS_BY), [], { standby: true })
        assert.equal((await front.next('started')).pid, standby)
        await front.next('ready')
        victim = standby
      }
    })

    it('does not use it for another program, and ends it', async () => {
      const front = await keeper.connect()
      front.client.start(daemonOf(STANDS_BY), [], { standby: true })
      const { pid } = await front.next('started')
      const standby = Number((await front.next('output')).text)
      process.kill(pid, 'SIGKILL')
      await front.next('exited')
      front.client.start(daemonOf(SERVES), [])
      assert.notEqual((await front.next('started')).pid, standby)
      await front.next('ready')
      await ended(standby)
    })

    it('ends it with the daemon', async () => {
      const front = await keeper.connect()
      front.client.start(daemonOf(STANDS_BY), [], { standby: true })
      const standby = Number((await front.next('output')).text)
      front.client.stop()
      await front.next('stopped')
      await ended(standby)
    })

    /** Resolves when the process is gone. */
    async function ended(pid: number): Promise<void> {
      await eventually(() => {
        assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
      })
    }
  })

  it('calls the end of a daemon that it has asked to end an end in order', async () => {
    const front = await keeper.connect()
    const kills = "process.on('SIGTERM', () => process.kill(process.pid, 'SIGKILL'))"
    front.client.start(daemonOf(`${kills}; say('ready')`), [])
    await front.next('ready')
    const other = await keeper.connect()
    other.client.shutdown({ force: false })
    await other.next('done')
    await front.next('done')
    assert.deepEqual(
      front.events.filter(({ event }) => event !== 'started'),
      [],
    )
    await keeper.emptied
  })
})
