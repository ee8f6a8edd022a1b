/** What happens before a merged tree may be used, and in which order. */
import assert from 'node:assert/strict'
import type { TreeRecord } from '../../../../fusefs/index.js'
import type { Digest, IndexRef, Profile, ThinSection } from '../../../../index-format/index.js'
import { Starts } from '../../../../snapshotter/node/starts/starts.js'

const INDEX: Digest = `sha256:${'11'.repeat(32)}`
const PLAN: Digest = `sha256:${'22'.repeat(32)}`
const MERGED: IndexRef = {
  digest: INDEX,
  sizeBytes: 8192,
  blob: { digest: INDEX, sizeBytes: 100 },
  xattrs: false,
}
const TREE: TreeRecord = {
  slot: 7,
  name: '7',
  class: 'plain',
  indexDigest: INDEX,
  stores: ['https://store'],
}

describe('Starts.openTree', () => {
  let events: string[]
  let learned: Profile | undefined
  let guess: Profile | undefined
  let shared: Promise<Profile | undefined>
  /** Ends the prefetch of a published start. */
  let endPrefetch: () => void
  let starts: Starts

  beforeEach(() => {
    events = []
    learned = undefined
    guess = undefined
    shared = Promise.resolve(undefined)
    const done = new Promise<void>((resolve) => {
      endPrefetch = resolve
    })
    starts = new Starts({
      prefetcher: {
        prefetch: ({ origin }, { tree }) => {
          events.push(`prefetch ${origin}`)
          tree.catch(() => events.push('prefetch ended by the failure'))
          return { done }
        },
        cancel: (slots) => events.push(`cancel ${slots.join()}`),
        close: () => Promise.resolve(),
      },
      registry: { indexPath: () => '/nowhere' },
      partialIndexes: {
        complete: () => Promise.resolve(),
        completeAfter: (_digest, start) => {
          void start.then(() => events.push('complete the index'))
        },
      },
      readAhead: {
        hold: () => {
          events.push('hold read-ahead')
          const release = (): Promise<void> => {
            events.push('release read-ahead')
            return Promise.resolve()
          }
          return Promise.resolve({ release })
        },
      },
      learned: {
        get: () => Promise.resolve(learned),
        put: ({ index }) => {
          events.push(`keep ${index === INDEX ? 'profile' : 'another profile'}`)
          return Promise.resolve()
        },
        settled: () => Promise.resolve(),
      },
      guesses: { read: () => guess },
      learner: {
        watch: () => events.push('watch'),
        finish: () => events.push('finish'),
        drop: () => events.push('drop'),
        close: () => undefined,
      },
      shared: { find: () => shared },
      prepareMount: () => {
        events.push('prepare mount')
        return Promise.resolve()
      },
    })
  })

  afterEach(async () => {
    endPrefetch()
    await starts.close()
  })

  it('prefetches a published start before the tree is registered, and completes the index last', async () => {
    assert.equal(await open({ isPublished: true }), TREE)
    const before = ['prefetch image', 'register', 'prepare mount', 'hold read-ahead']
    assert.deepEqual(events, before)
    endPrefetch()
    await settled()
    assert.deepEqual(events.slice(before.length).sort(), [
      'complete the index',
      'release read-ahead',
    ])
  })

  it('ends the prefetch of a published start when the tree cannot be registered', async () => {
    const failure = new Error('no index')
    await assert.rejects(open({ isPublished: true, failure }), failure)
    await settled()
    assert.deepEqual(events, ['prefetch image', 'prefetch ended by the failure'])
  })

  it('prefetches what this node has learned, and asks nobody', async () => {
    learned = profile()
    shared = Promise.reject(new Error('asked'))
    shared.catch(() => undefined)
    await open({})
    await settled()
    assert.deepEqual(events.filter(isStartEvent), ['prefetch learned'])
  })

  it('watches a start that nobody knows, and prefetches its guess', async () => {
    guess = profile()
    await open({})
    await settled()
    assert.deepEqual(events.filter(isStartEvent), ['watch', 'prefetch guess'])
  })

  it('uses and keeps a shared profile that arrives later, and learns nothing beside it', async () => {
    let arrive: (found: Profile) => void = () => undefined
    shared = new Promise((resolve) => {
      arrive = resolve
    })
    await open({})
    await settled()
    assert.deepEqual(events.filter(isStartEvent), ['watch'])
    arrive(profile())
    await settled()
    assert.deepEqual(events.filter(isStartEvent), [
      'watch',
      'drop',
      'keep profile',
      'prefetch shared',
    ])
  })

  it('ignores a shared profile of a tree that is gone', async () => {
    let arrive: (found: Profile) => void = () => undefined
    shared = new Promise((resolve) => {
      arrive = resolve
    })
    await open({})
    starts.removed([TREE.slot])
    arrive(profile())
    await settled()
    assert.deepEqual(events.filter(isStartEvent), ['watch', 'cancel 7', 'finish'])
  })

  it('prefetches nothing for a tree that is in use: its program has started before', async () => {
    learned = profile()
    await open({ isUsed: true })
    await settled()
    assert.deepEqual(events.filter(isStartEvent), [])
  })

  function open(how: {
    isPublished?: boolean
    isUsed?: boolean
    failure?: Error
  }): Promise<TreeRecord> {
    const base: ThinSection = { version: 1, stores: TREE.stores, merged: MERGED, layers: [] }
    const startup = { plan: { file: 'plan', digest: PLAN, sizeBytes: 10 }, packs: [] }
    return starts.openTree({
      thin: { ...base, merged: MERGED, ...(how.isPublished === true && { startup }) },
      folder: '/nowhere',
      register: () => {
        if (how.failure !== undefined) return Promise.reject(how.failure)
        events.push('register')
        return Promise.resolve(TREE)
      },
      isUsed: () => how.isUsed === true,
    })
  }

  /** Lets every promise settle that waits for nothing else. */
  async function settled(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

function profile(): Profile {
  return { index: `sha256:${'33'.repeat(32)}`, commands: [], ranges: [] }
}

/** Whether the event concerns starts, not the tree. */
function isStartEvent(event: string): boolean {
  return !['register', 'prepare mount', 'complete the index'].includes(event)
}
