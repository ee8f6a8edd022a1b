import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import type { Recipe } from '../../../../index-format/index.js'
import { SnapshotterError } from '../../../../snapshotter/errors.js'
import { cancellable } from '../../../../snapshotter/waiting/cancellable.js'
import type {
  ThinLayer,
  ThinLayerPlace,
  ThinLayers,
} from '../../../../snapshotter/node/snapshots/thin-layers.js'
import { RunningService } from './running-service.js'

const HEX = 'b'.repeat(64)
const RECIPE = JSON.stringify({
  version: '1.0',
  origin: 'test',
  layers: [{ digest: HEX, url: 'file:///nowhere' }],
})

/** Records the calls. A test sets `registered` to make `register` wait or fail. */
class RecordedLayers implements ThinLayers {
  readonly calls: string[] = []
  readonly places: ThinLayerPlace[] = []
  registered: () => Promise<void> = () => Promise.resolve()

  async restore(layers: readonly ThinLayer[]): Promise<void> {
    this.calls.push(`restore ${JSON.stringify(layers)}`)
    await Promise.resolve()
  }

  async register(recipe: Recipe, place: ThinLayerPlace, signal: AbortSignal): Promise<ThinLayer> {
    this.calls.push(`register ${recipe.layers.length}`)
    this.places.push(place)
    await cancellable(this.registered(), signal, `register ${recipe.origin}`)
    return { kind: 'merged', tree: 7 }
  }

  lowerdirs(layer: ThinLayer): Promise<readonly string[]> {
    this.calls.push(`lowerdirs ${JSON.stringify(layer)}`)
    return Promise.resolve(['/trees/7'])
  }

  async release(layer: ThinLayer): Promise<void> {
    this.calls.push(`release ${JSON.stringify(layer)}`)
    await Promise.resolve()
  }

  usage(): Promise<{ sizeBytes: number; inodes: number }> {
    return Promise.resolve({ sizeBytes: 1_000_000, inodes: 3 })
  }
}

const MERGED = '{"kind":"merged","tree":7}'

describe('the seam to thin layers', () => {
  let layers: RecordedLayers
  let service: RunningService

  beforeEach(async () => {
    layers = new RecordedLayers()
    service = await RunningService.start({ thinLayers: layers })
  })
  afterEach(async () => {
    await service.destroy()
  })

  async function prepareThin(key: string, parent = ''): Promise<void> {
    const [mount] = await service.client.prepare(key, parent)
    const upper = mount?.options.find((option) => option.startsWith('upperdir='))
    const fs = upper?.slice('upperdir='.length) ?? mount?.source ?? ''
    await writeFile(join(fs, 'thin.json'), RECIPE)
  }

  it('registers at commit, releases at removal, and restores at the next start', async () => {
    await prepareThin('one')
    await service.client.commit('image', 'one')
    await prepareThin('two', 'image')
    await service.client.commit('upper', 'two')
    assert.deepEqual(
      layers.places.map(({ hasParent }) => hasParent),
      [false, true],
    )
    const view = await service.client.view('view', 'image')
    assert.deepEqual(view[0]?.options.slice(0, 1), [`lowerdir=/trees/7:${service.root}/empty`])

    await service.stop()
    layers = new RecordedLayers()
    const { directory } = service
    service = await RunningService.start({ directory, thinLayers: layers })
    assert.deepEqual(layers.calls, [`restore [${MERGED},${MERGED}]`])
    await service.client.remove('view')
    await service.client.remove('upper')
    await service.client.remove('image')
    assert.deepEqual(layers.calls.slice(1), [`release ${MERGED}`, `release ${MERGED}`])
  })

  it('counts what a thin layer has on the local disk', async () => {
    await prepareThin('one')
    const before = await service.client.usage('one')
    await service.client.commit('image', 'one')
    assert.deepEqual(await service.client.usage('image'), {
      size: before.size + 1_000_000,
      inodes: before.inodes + 3,
    })
  })

  it('leaves the snapshot active when registering fails, so that commit can be tried again', async () => {
    await prepareThin('one')
    layers.registered = () =>
      Promise.reject(new SnapshotterError('unavailable', 'store https://x/: refused'))
    await assert.rejects(service.client.commit('image', 'one'), {
      code: status.UNAVAILABLE,
      details: 'store https://x/: refused',
    })
    layers.registered = () => Promise.resolve()
    await service.client.commit('image', 'one')
    assert.deepEqual(layers.calls, ['restore []', 'register 1', 'register 1'])
  })

  it('releases what it registered when the commit cannot be written down', async () => {
    await prepareThin('one')
    await assert.rejects(service.client.commit('image', 'one', { parent: 'nobody' }), {
      code: status.NOT_FOUND,
    })
    assert.deepEqual(layers.calls, ['restore []', 'register 1', `release ${MERGED}`])
  })

  it('gives up registering when the caller has no more time', async () => {
    await prepareThin('one')
    layers.registered = () => new Promise(() => undefined)
    await assert.rejects(service.client.commit('image', 'one', { deadlineMs: 100 }), {
      code: status.DEADLINE_EXCEEDED,
    })
    layers.registered = () => Promise.resolve()
    await service.client.commit('image', 'one')
  })

  it('gives up registering when the snapshot is removed', async () => {
    await prepareThin('one')
    const started = new Promise<void>((resolve) => {
      layers.registered = () => {
        resolve()
        return new Promise(() => undefined)
      }
    })
    const commit = assert.rejects(service.client.commit('image', 'one'), {
      code: status.CANCELLED,
    })
    await started
    await service.client.remove('one')
    await commit
    assert.deepEqual(await service.client.listAll(), [])
  })

  it('commits other snapshots while one is registering', async () => {
    await prepareThin('slow')
    let finish: () => void = () => undefined
    const started = new Promise<void>((resolve) => {
      layers.registered = () =>
        new Promise((done) => {
          finish = done
          resolve()
        })
    })
    const slow = service.client.commit('slow image', 'slow')
    await started
    await service.client.prepare('quick')
    await service.client.commit('quick image', 'quick')
    assert.equal((await service.client.stat('slow')).kind, 'ACTIVE')
    const second = assert.rejects(service.client.commit('other name', 'slow'), {
      code: status.NOT_FOUND,
    })
    finish()
    await slow
    await second
    assert.equal((await service.client.stat('slow image')).kind, 'COMMITTED')
  })

  it('stops while one is registering', async () => {
    await prepareThin('one')
    const started = new Promise<void>((resolve) => {
      layers.registered = () => {
        resolve()
        return new Promise(() => undefined)
      }
    })
    const commit = assert.rejects(service.client.commit('image', 'one'), (error) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      return code === status.CANCELLED || code === status.UNAVAILABLE
    })
    await started
    const startMs = performance.now()
    await Promise.all([service.store.close(), commit])
    assert.ok(performance.now() - startMs < 2000)
    await assert.rejects(service.client.prepare('late'), { code: status.UNAVAILABLE })
  })
})
