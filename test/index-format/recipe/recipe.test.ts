import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import {
  bytesFromRecipe,
  digestOf,
  directoryOfLayerUrl,
  IndexFormatError,
  type Recipe,
  recipeFromBytes,
} from '../../../index-format/index.js'

const FIXTURES = new URL('../../../../test/fixtures/recipe/', import.meta.url)
const read = (name: string): Buffer => readFileSync(new URL(name, FIXTURES))
const INDEX = digestOf(Buffer.from('index'))
const BLOB = digestOf(Buffer.from('blob'))
const LAYER = digestOf(Buffer.from('layer'))

const OURS: Recipe = {
  version: '1.0',
  origin: 'app:1@http://registry.example:5000/v2',
  layers: [
    { digest: LAYER, url: { kind: 'thin', index: INDEX } },
    { digest: LAYER, url: { kind: 'cvmfs', repository: 'cd.cern.ch', path: '/layers/a b' } },
    { digest: LAYER, url: { kind: 'file', directory: '/srv/läyers/100% #1' } },
  ],
  thin: {
    version: 1,
    stores: ['oci+http://registry.example:5000/app', 'https://cdn.example/', 'file:///srv/store'],
    merged: {
      digest: INDEX,
      sizeBytes: 4096,
      blob: { digest: BLOB, sizeBytes: 99 },
      xattrs: true,
      embedded: 'thin-index.zst',
    },
    layers: [
      { digest: INDEX, sizeBytes: 4096, blob: { digest: BLOB, sizeBytes: 99 }, xattrs: false },
      null,
      null,
    ],
    startup: {
      plan: { file: 'thin-startup.zst', digest: BLOB, sizeBytes: 900 },
      packs: [
        { digest: LAYER, sizeBytes: 1_000_000 },
        { digest: INDEX, sizeBytes: 5 },
      ],
    },
  },
}

describe('recipe', () => {
  it('parses a CVMFS recipe unchanged', () => {
    const recipe = recipeFromBytes(read('good/cvmfs.json'))
    assert.equal(recipe.origin, 'library/redis:4@https://registry-1.docker.io/v2')
    assert.equal(recipe.thin, undefined)
    assert.equal(recipe.layers.length, 2)
    assert.deepEqual(
      recipe.layers.map((layer) => directoryOfLayerUrl(layer.url)),
      recipe.layers.map((layer) => `/cvmfs/cd.cern.ch/layers/${layer.digest.slice(7)}`),
    )
  })

  it('ignores members that it does not know', () => {
    assert.deepEqual(recipeFromBytes(read('good/later.json')).thin?.stores, [])
  })

  it('gives back what was written, byte for byte the same each time', () => {
    const bytes = bytesFromRecipe(OURS)
    const recipe = recipeFromBytes(bytes)
    assert.deepEqual(recipe, OURS)
    assert.deepEqual(bytesFromRecipe(recipe), bytes)
    assert.equal(directoryOfLayerUrl({ kind: 'file', directory: '/srv/x' }), '/srv/x')
    assert.equal(directoryOfLayerUrl({ kind: 'thin', index: INDEX }), undefined)
  })

  it('names what a start is guessed to read', () => {
    const guess = { file: 'thin-guess.json', digest: BLOB, sizeBytes: 700 }
    const recipe = { ...OURS, thin: { version: 1, stores: [], layers: [], guess } } as const
    const layers = [{ digest: LAYER, url: { kind: 'file', directory: '/srv' } }] as const
    const written = { ...recipe, layers, thin: { ...recipe.thin, layers: [null] } }
    assert.deepEqual(recipeFromBytes(bytesFromRecipe(written)), written)
    const elsewhere = { ...guess, file: '../guess' }
    const bytes = bytesFromRecipe({ ...written, thin: { ...written.thin, guess: elsewhere } })
    assert.throws(() => recipeFromBytes(bytes), /\$\.thin\.guess\.file is /)
  })

  // Each file of fixtures/recipe/hostile is named after its fault.
  const refusals: Record<string, [code: string, path: string]> = {
    'blob-digest-short.json': ['invalid-recipe', '$.thin.merged.blob.digest'],
    'control-character-in-url.json': ['invalid-recipe', '$.layers[0].url'],
    'cvmfs-dot-dot.json': ['invalid-recipe', '$.layers[0].url'],
    'cvmfs-repository-dot-dot.json': ['invalid-recipe', '$.layers[0].url'],
    'digest-not-hex.json': ['invalid-recipe', '$.layers[0].digest'],
    'embedded-in-another-directory.json': ['invalid-recipe', '$.thin.merged.embedded'],
    'file-encoded-dot-dot.json': ['invalid-recipe', '$.layers[0].url'],
    'file-encoded-slash.json': ['invalid-recipe', '$.layers[0].url'],
    'file-encoded-nul.json': ['invalid-recipe', '$.layers[0].url'],
    'file-on-a-host.json': ['invalid-recipe', '$.layers[0].url'],
    'index-size-negative.json': ['invalid-recipe', '$.thin.merged.sizeBytes'],
    'index-size-huge.json': ['invalid-recipe', '$.thin.merged.sizeBytes'],
    'layers-absent.json': ['invalid-recipe', '$.layers'],
    'layers-empty.json': ['invalid-recipe', '$.layers'],
    'not-json.bin': ['invalid-recipe', '$'],
    'not-utf-8.bin': ['invalid-recipe', '$'],
    'null.json': ['invalid-recipe', '$'],
    'scheme-unknown.json': ['invalid-recipe', '$.layers[0].url'],
    'store-with-credentials.json': ['invalid-recipe', '$.thin.stores[0]'],
    'store-relative.json': ['invalid-recipe', '$.thin.stores[0]'],
    'thin-layer-without-index.json': ['invalid-recipe', '$.thin.layers[0]'],
    'thin-layers-of-another-length.json': ['invalid-recipe', '$.thin.layers'],
    'thin-url-of-another-index.json': ['invalid-recipe', '$.thin.layers[0].digest'],
    'thin-version-2.json': ['unsupported-version', '$.thin.version'],
    'version-2.json': ['unsupported-version', '$.version'],
    'version-number.json': ['invalid-recipe', '$.version'],
    'xattrs-a-number.json': ['invalid-recipe', '$.thin.merged.xattrs'],
  }
  for (const [name, [code, path]] of Object.entries(refusals)) {
    it(`refuses ${name.replace(/\.\w+$/, '').replaceAll('-', ' ')}`, () => {
      assert.throws(
        () => recipeFromBytes(read(`hostile/${name}`)),
        (error) =>
          error instanceof IndexFormatError &&
          error.code === code &&
          error.message.includes(`${path} is `),
      )
    })
  }

  it('has a refusal for each hostile fixture', () => {
    const names = readdirSync(new URL('hostile/', FIXTURES))
    assert.deepEqual(names.sort(), Object.keys(refusals).sort())
  })

  it('never shows credentials of a store', () => {
    assert.throws(
      () => recipeFromBytes(read('hostile/store-with-credentials.json')),
      (error) => error instanceof Error && !error.message.includes('secret'),
    )
  })

  it('refuses too large a file before parsing it', () => {
    const bytes = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')
    assert.throws(() => recipeFromBytes(bytes), { code: 'limit-exceeded' })
  })

  it('refuses too many layers', () => {
    const layer = { digest: LAYER.slice(7), url: 'file:///srv' }
    const recipe = { version: '1.0', origin: '', layers: Array(501).fill(layer) }
    assert.throws(() => recipeFromBytes(Buffer.from(JSON.stringify(recipe))), /\$\.layers is/)
  })
})
