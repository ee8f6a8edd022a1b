// The rules of CONTRIBUTING.md that a machine can check. The layers are data: an import that points
// up, goes round in a circle or bypasses a layer's index.ts fails the build.
import { builtinModules } from 'node:module'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'eslint/config'
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript'
import importX from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

/** Which layers a layer may import; README.md, "Layers", explains why. */
const LAYERS = {
  'index-format': [],
  fusefs: ['index-format'],
  proto: [],
  snapshotter: ['index-format', 'fusefs', 'proto'],
}

/**
 * Beside a layer's index.ts, a smaller door for threads and processes that are to stay small: what it
 * exports needs few of the layer's modules.
 */
const SMALL_DOORS = {
  'index-format': ['./reading.ts', './decoding.ts', './system-error.ts'],
  fusefs: ['./mounting.ts'],
}

const root = fileURLToPath(new URL('.', import.meta.url))
const names = Object.keys(LAYERS)

/** From a layer, everything of this repository is out of reach but itself and the layers below. */
const upwardImports = names.flatMap((layer) =>
  [...names, 'test', 'bench']
    .filter((other) => other !== layer && !LAYERS[layer].includes(other))
    .map((other) => ({
      target: `./${layer}`,
      from: `./${other}`,
      message: `${layer} must not import ${other}: imports point down (README.md, "Layers").`,
    })),
)

/** From outside a layer, only its doors are in reach. */
const bypassedIndexes = names.flatMap((layer) =>
  names
    .filter((other) => other !== layer)
    .map((other) => ({
      target: `./${other}`,
      from: `./${layer}`,
      except: ['./index.ts', ...(SMALL_DOORS[layer] ?? [])],
      message: `Import ${layer} through ${layer}/index.ts only (README.md, "Layers").`,
    })),
)

const bareBuiltins = builtinModules
  .filter((name) => !name.startsWith('_'))
  .map((name) => ({ name, message: `Write node:${name}.` }))

export default defineConfig(
  { ignores: ['dist/', 'coverage/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: root },
    },
    // Without these three settings no-cycle and no-restricted-paths see nothing in TypeScript, and
    // say nothing about it; test/house/lint.test.ts keeps watch.
    settings: {
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/extensions': ['.ts', '.js'],
      'import-x/resolver-next': [createTypeScriptImportResolver({ project: root })],
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { allowDefaultCaseForExhaustiveSwitch: false },
      ],
      // Numbers in messages are welcome; everything else is converted on purpose.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-restricted-paths': [
        'error',
        { basePath: root, zones: [...upwardImports, ...bypassedIndexes] },
      ],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 500 }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      'no-restricted-imports': ['error', { paths: bareBuiltins }],
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ExportAllDeclaration',
          message: 'List exports by name: an index.ts is read as the contract of its layer.',
        },
      ],
    },
  },
  {
    files: ['snapshotter/cli/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // A describe() block is one function, whose length says nothing; a skipped test prints its reason.
    files: ['test/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', 'no-console': 'off' },
  },
)
