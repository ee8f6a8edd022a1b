/**
 * Tests recipes of every form: with and without a merged tree, above an ordinary layer, and with
 * layers that are directories of the host. Each must show the same as overlayfs shows of the
 * original, including whiteouts and opaque directories.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  bytesFromRecipe,
  type Recipe,
  recipeFromBytes,
  type ThinSection,
} from '../../index-format/index.js'
import type { Machine } from '../sandbox/machine.js'
import { runProgram } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { compareTrees, textOfDifferences } from '../sandbox/tree-comparison.js'
import { type ImagePair, publish } from './thin-images.js'

describe('a recipe', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let machine: Machine
  let pair: ImagePair
  let recipe: Recipe
  let thin: ThinSection
  /** The original's layers as tar archives, bottom first. */
  let layers: string[]
  let original: string
  let leftUnpackedMs: number

  before(async () => {
    sandbox = await Sandbox.start()
    machine = await sandbox.startMachine({
      daemonConfig: ['[host_directories]', `allow = [${JSON.stringify(sandbox.directory)}]`],
    })
    pair = await publish(sandbox, 'whiteouts')
    const [thinLayer = ''] = await layersOf(pair.thin, 'thin')
    const unpacked = join(sandbox.directory, 'thin-layer')
    mkdirSync(unpacked)
    await runProgram(['tar', '-xf', thinLayer, '-C', unpacked])
    recipe = recipeFromBytes(readFileSync(join(unpacked, 'thin.json')))
    assert.ok(recipe.thin?.merged)
    thin = recipe.thin
    layers = await layersOf(pair.ordinary, 'ordinary')
    original = join(machine.directory, 'original')
    leftUnpackedMs = Date.now()
    await machine.containerd.pull(pair.ordinary, 'overlayfs')
    await machine.containerd.mountImage(pair.ordinary, original, 'overlayfs')
  })

  after(async () => {
    await machine.containerd.unmountImage(original, 'overlayfs')
    await sandbox.close()
  })

  it('without a merged tree stacks the trees of its layers', async () => {
    const { version, stores, layers: indexes } = thin
    const stacked = { ...recipe, thin: { version, stores, layers: indexes } }
    await expectEqual('stacked', [await recipeLayer('stacked', stacked)], 5)
  })

  it('whose merged index is not embedded has it fetched from the store', async () => {
    assert.ok(thin.merged)
    const { digest, sizeBytes, blob, xattrs } = thin.merged
    const merged = { digest, sizeBytes, blob, xattrs }
    const fetched = { ...recipe, thin: { ...thin, merged } }
    await expectEqual('fetched', [await recipeLayer('fetched', fetched)], 1)
  })

  it('above an ordinary layer hides what its whiteouts name there', async () => {
    const upper = {
      ...recipe,
      layers: recipe.layers.slice(1),
      thin: { ...thin, layers: thin.layers.slice(1) },
    }
    const [bottom = ''] = layers
    // The recipe keeps its merged tree, which does not contain the layer below.
    await expectEqual('above', [bottom, await recipeLayer('above', upper)], 5)
  })

  it('may have a layer that is a directory of the host between others', async () => {
    const bottom = await unpackedByContainerd('host-bottom')
    const mixed = {
      ...recipe,
      layers: recipe.layers.map((layer, i) =>
        i === 0 ? { ...layer, url: { kind: 'file', directory: bottom } as const } : layer,
      ),
      thin: {
        version: thin.version,
        stores: thin.stores,
        layers: thin.layers.map((index, i) => (i === 0 ? null : index)),
      },
    }
    await expectEqual('mixed', [await recipeLayer('mixed', mixed)], 5)
  })

  /** Pushes an image of these layers, pulls it, and compares it with the original. */
  async function expectEqual(name: string, archives: string[], lowerdirs: number): Promise<void> {
    const reference = await composed(name, archives)
    const { containerd } = machine
    await containerd.pull(reference, 'thin')
    const target = join(machine.directory, name)
    await containerd.mountImage(reference, target, 'thin')
    const mounted = (await runProgram(['findmnt', '-no', 'OPTIONS', target])).stdout
    const { differences, comparedEntries } = await compareTrees(original, target, {
      leftUnpackedMs,
    })
    await containerd.unmountImage(target, 'thin')
    assert.equal(textOfDifferences(differences), '')
    assert.ok(comparedEntries > 3000, `only ${comparedEntries} entries`)
    const lowers = /lowerdir=([^,\n]*)/.exec(mounted)?.[1]?.split(':') ?? []
    const served = lowers.filter((path) => !path.endsWith('empty'))
    assert.equal(served.length, lowerdirs, mounted)
  }

  async function composed(name: string, archives: readonly string[]): Promise<string> {
    const layout = join(sandbox.directory, `layout-${name}`)
    await runProgram(['umoci', 'init', '--layout', layout])
    await runProgram(['umoci', 'new', '--image', `${layout}:image`])
    for (const archive of archives) {
      await runProgram(['umoci', 'raw', 'add-layer', '--image', `${layout}:image`, archive])
    }
    return sandbox.push(`${layout}:image`, `${name}:1`)
  }

  /** Makes a layer that has only this recipe. Returns its tar archive. */
  async function recipeLayer(name: string, content: Recipe): Promise<string> {
    const directory = join(sandbox.directory, `recipe-${name}`)
    mkdirSync(directory)
    writeFileSync(join(directory, 'thin.json'), bytesFromRecipe(content))
    const archive = `${directory}.tar`
    await runProgram(['tar', '-cf', archive, '-C', directory, 'thin.json'])
    return archive
  }

  async function layersOf(reference: string, name: string): Promise<string[]> {
    const layout = join(sandbox.directory, `copy-${name}`)
    const flags = ['--insecure-policy', '--src-tls-verify=false', '--quiet']
    await runProgram(['skopeo', 'copy', ...flags, `docker://${reference}`, `oci:${layout}:image`])
    const blob = (digest: string): Buffer =>
      readFileSync(join(layout, 'blobs', digest.replace(':', '/')))
    const digestsIn = (bytes: Uint8Array): string[] =>
      Buffer.from(bytes)
        .toString()
        .match(/sha256:[0-9a-f]{64}/g) ?? []
    const [manifest = ''] = digestsIn(readFileSync(join(layout, 'index.json')))
    const [, ...digests] = digestsIn(blob(manifest))
    return digests.map((digest, i) => {
      const archive = join(layout, `layer-${i}.tar`)
      writeFileSync(archive, gunzipSync(blob(digest)))
      return archive
    })
  }

  /** Unpacks the bottom layer into a directory of the host, as CVMFS would have it. */
  async function unpackedByContainerd(name: string): Promise<string> {
    const directory = join(sandbox.directory, name)
    mkdirSync(directory)
    const [bottom = ''] = layers
    const flags = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-p']
    await runProgram(['tar', ...flags, '-xf', bottom, '-C', directory])
    return directory
  }
})
