/**
 * The linter ensures that imports point down and form no cycle. import-x reports nothing, without a
 * warning, if its TypeScript settings are wrong. Therefore this test runs the repository's own
 * configuration over a small tree in which one fault of each kind is planted.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../../../', import.meta.url))

interface Report {
  readonly filePath: string
  readonly messages: readonly { readonly ruleId: string | null; readonly message: string }[]
}

const CLEAN = {
  'index-format/index.ts': "export { one } from './one.js'\n",
  'index-format/one.ts': 'export const one = 1\n',
  'fusefs/index.ts': "export { two } from './two.js'\n",
  'fusefs/two.ts':
    "import { one } from '../index-format/index.js'\nexport const two: number = one + 1\n",
}

describe('eslint.config.js', () => {
  let dir: string

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'thin-lint-'))
    for (const file of ['eslint.config.js', 'package.json', 'tsconfig.json']) {
      cpSync(join(repository, file), join(dir, file))
    }
    symlinkSync(join(repository, 'node_modules'), join(dir, 'node_modules'))
  })

  afterEach(() => {
    rmSync(dir, { recursive: true })
  })

  it('accepts a tree whose imports point down', () => {
    assert.deepEqual(findings(lint(CLEAN)), [])
  })

  it('reports a cycle', () => {
    const reports = lint({
      ...CLEAN,
      'index-format/one.ts':
        "import { other } from './other.js'\nexport const one: number = other + 1\n",
      'index-format/other.ts':
        "import { one } from './one.js'\nexport const other: number = one + 1\n",
    })
    assert.deepEqual(findings(reports), [
      'index-format/one.ts import-x/no-cycle',
      'index-format/other.ts import-x/no-cycle',
    ])
  })

  it('reports an upward import, and names the section that explains it', () => {
    const reports = lint({
      ...CLEAN,
      'index-format/up.ts':
        "import { two } from '../fusefs/index.js'\nexport const up: number = two\n",
    })
    assert.deepEqual(findings(reports), ['index-format/up.ts import-x/no-restricted-paths'])
    const messages = reports.flatMap((report) => report.messages.map(({ message }) => message))
    assert.match(messages.join(), /index-format must not import fusefs.*README\.md, "Layers"/)
  })

  it('reports an import that bypasses the index.ts of a lower layer', () => {
    const reports = lint({
      ...CLEAN,
      'fusefs/two.ts':
        "import { one } from '../index-format/one.js'\nexport const two: number = one + 1\n",
    })
    assert.deepEqual(findings(reports), ['fusefs/two.ts import-x/no-restricted-paths'])
  })

  it('lets a small door through beside the index.ts, but in its own layer only', () => {
    const reports = lint({
      ...CLEAN,
      'index-format/reading.ts': "export { one } from './one.js'\n",
      'fusefs/reading.ts': "export { two } from './two.js'\n",
      'fusefs/two.ts':
        "import { one } from '../index-format/reading.js'\nexport const two: number = one + 1\n",
      'snapshotter/three.ts':
        "import { two } from '../fusefs/reading.js'\nexport const three: number = two + 1\n",
    })
    assert.deepEqual(findings(reports), ['snapshotter/three.ts import-x/no-restricted-paths'])
  })

  it('reports a floating promise, a default export and a builtin without node:', () => {
    const reports = lint({
      ...CLEAN,
      'fusefs/wrong.ts': [
        "import { setTimeout } from 'timers/promises'",
        'export default function wrong(): void {',
        '  setTimeout(1)',
        '}',
        '',
      ].join('\n'),
    })
    assert.deepEqual(findings(reports), [
      'fusefs/wrong.ts @typescript-eslint/no-floating-promises',
      'fusefs/wrong.ts import-x/no-default-export',
      'fusefs/wrong.ts no-restricted-imports',
    ])
  })

  function lint(files: Record<string, string>): Report[] {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true })
      writeFileSync(join(dir, name), text)
    }
    // Each run is a process of its own, because the import resolver and typescript-eslint cache
    // files in memory.
    const eslint = join(repository, 'node_modules/eslint/bin/eslint.js')
    const run = spawnSync(process.execPath, [eslint, '--format', 'json', '.'], {
      cwd: dir,
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.ok(run.status === 0 || run.status === 1, `eslint failed: ${run.stderr}`)
    return JSON.parse(run.stdout) as Report[]
  }

  function findings(reports: readonly Report[]): string[] {
    return reports
      .flatMap(({ filePath, messages }) =>
        messages.map(({ ruleId }) => `${filePath.slice(dir.length + 1)} ${String(ruleId)}`),
      )
      .sort()
  }
})
