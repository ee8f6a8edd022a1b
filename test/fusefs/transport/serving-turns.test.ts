import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { ServingTurns } from '../../../fusefs/transport/serving-turns.js'

describe('ServingTurns', () => {
  it('serves 64 at a time, the others in order, and none that gave up', async () => {
    const turns = new ServingTurns()
    const ends: (() => void)[] = []
    const begun: number[] = []
    const never = new AbortController().signal
    setMaxListeners(0, never)
    const serve = (id: number, signal = never): Promise<void> =>
      turns.serve(
        1,
        () =>
          new Promise((resolve) => {
            begun.push(id)
            ends.push(resolve)
          }),
        signal,
      )
    const first = Array.from({ length: 64 }, (_, id) => serve(id))
    const stop = new AbortController()
    const impatient = serve(64, stop.signal)
    const patient = serve(65)
    await new Promise(setImmediate)
    assert.equal(begun.length, 64)
    stop.abort(new Error('enough'))
    await assert.rejects(impatient, { message: 'enough' })
    ends[0]?.()
    await first[0]
    await new Promise(setImmediate)
    assert.deepEqual(begun.slice(64), [65])
    for (const end of ends) end()
    await Promise.all([...first, patient])
  })

  it('serves other trees while 64 reads of one tree wait, and no more than 512 in all', async () => {
    const turns = new ServingTurns()
    const { signal } = new AbortController()
    setMaxListeners(0, signal)
    const begun = new Map<number, number>()
    const serve = (slot: number): void => {
      const work = (): Promise<void> => {
        begun.set(slot, (begun.get(slot) ?? 0) + 1)
        return new Promise(() => undefined)
      }
      void turns.serve(slot, work, signal)
    }
    for (let i = 0; i < 100; i++) serve(1)
    await turns.serve(2, () => Promise.resolve(), signal)
    for (let slot = 3; slot < 20; slot++) for (let i = 0; i < 64; i++) serve(slot)
    await new Promise(setImmediate)
    assert.equal(begun.get(1), 64)
    assert.equal(
      [...begun.values()].reduce((sum, count) => sum + count, 0),
      512,
    )
  })

  it('keeps the turn of a read that gave up until its work has ended', async () => {
    const turns = new ServingTurns()
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const ends: (() => void)[] = []
    const work = (): Promise<void> => new Promise((resolve) => void ends.push(resolve))
    const given = Array.from({ length: 64 }, () => turns.serve(1, work, stop.signal))
    let isServed = false
    const next = turns.serve(
      1,
      () => {
        isServed = true
        return Promise.resolve()
      },
      new AbortController().signal,
    )
    await new Promise(setImmediate)
    stop.abort(new Error('enough'))
    for (const one of given) await assert.rejects(one, { message: 'enough' })
    assert.equal(isServed, false)
    ends[0]?.()
    await next
    assert.equal(isServed, true)
  })
})
