/**
 * The linter proves that imports point down and form no cycle. With wrong settings it reports
 * nothing, without a warning. Therefore the repository's own configuration is run
 * here over a small tree with one fault of each kind planted in it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { LINT_FAULTS } from './lint-faults.js'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDERS = ['index-format', 'fusefs', 'snapshotter', 'proto', 'test', 'bench']

/** One finding of `oxlint`, which checks the code, or of `depcruise`, which checks the imports. */
interface Finding {
  /** Relative to the linted tree. */
  readonly file: string
  readonly rule: string
  readonly message: string
}

interface CodeReport {
  readonly diagnostics: readonly {
    readonly filename: string
    readonly code: string
    readonly message: string
  }[]
}

interface OrderReport {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { name: string } }[]
    readonly ruleSetUsed: {
      readonly forbidden: readonly { readonly name: string; readonly comment: string }[]
    }
  }
}

const CLEAN = {
  'index-format/index.ts': "export { one } from './one.js'\n",
  'index-format/one.ts': 'export const one = 1\n',
  'fusefs/index.ts': "export { two } from './two.js'\n",
  'fusefs/two.ts':
    "import { one } from '../index-format/index.js'\nexport const two: number = one + 1\n",
  'snapshotter/errors.ts': 'export const three = 3\n',
  'snapshotter/images/four.ts':
    "import { three } from '../errors.js'\nexport const four: number = three + 1\n",
  'snapshotter/node/starts/five.ts':
    "import { four } from '../../images/four.js'\nexport const five: number = four + 1\n",
  'snapshotter/publish/convert/six.ts':
    "import { four } from '../../images/four.js'\nexport const six: number = four + 2\n",
}

describe('the linter', () => {
  let dir: string

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'thin-lint-'))
    const settings = ['.oxlintrc.json', '.dependency-cruiser.js', 'package.json', 'tsconfig.json']
    for (const file of settings) cpSync(join(repository, file), join(dir, file))
    symlinkSync(join(repository, 'node_modules'), join(dir, 'node_modules'))
  })

  afterEach(() => {
    rmSync(dir, { recursive: true })
  })

  it('accepts a tree whose imports point down', () => {
    assert.deepEqual(rulesOf(lint(CLEAN)), [])
  })

  it('reports a cycle', () => {
    const findings = lint({
      ...CLEAN,
      'index-format/one.ts':
        "import { other } from './other.js'\nexport const one: number = other + 1\n",
      'index-format/other.ts':
        "import { one } from './one.js'\nexport const other: number = one + 1\n",
    })
    assert.deepEqual(rulesOf(findings), [
      'index-format/one.ts import(no-cycle)',
      'index-format/other.ts import(no-cycle)',
    ])
  })

  it('reports a cycle of types', () => {
    const findings = lint({
      ...CLEAN,
      'fusefs/flight.ts':
        "import type { Entry } from './entry.js'\nexport interface Flight {\n  entry: Entry\n}\n",
      'fusefs/entry.ts':
        "import { type Flight } from './middle.js'\nexport interface Entry {\n  flight: Flight\n}\n",
      'fusefs/middle.ts': "export type { Flight } from './flight.js'\n",
    })
    assert.deepEqual(
      rulesOf(findings).filter((rule) => rule.endsWith('import(no-cycle)')),
      [
        'fusefs/entry.ts import(no-cycle)',
        'fusefs/flight.ts import(no-cycle)',
        'fusefs/middle.ts import(no-cycle)',
      ],
    )
  })

  it('reports an upward import, and names the section that explains it', () => {
    const findings = lint({
      ...CLEAN,
      'index-format/up.ts':
        "import { two } from '../fusefs/index.js'\nexport const up: number = two\n",
    })
    assert.deepEqual(rulesOf(findings), ['index-format/up.ts layer-order/index-format/fusefs'])
    const messages = findings.map(({ message }) => message)
    assert.match(messages.join(), /index-format must not import fusefs.*README\.md, "Layers"/)
  })

  it('reports an upward import of a type', () => {
    const findings = lint({
      ...CLEAN,
      'fusefs/two.ts': 'export interface Two {\n  two: number\n}\nexport const two = 2\n',
      'fusefs/index.ts': "export { type Two, two } from './two.js'\n",
      'index-format/up.ts':
        "import type { Two } from '../fusefs/index.js'\nexport type Up = Two['two']\n",
    })
    assert.deepEqual(rulesOf(findings), ['index-format/up.ts layer-order/index-format/fusefs'])
  })

  it('reports an import that bypasses the index.ts of a lower layer', () => {
    const findings = lint({
      ...CLEAN,
      'fusefs/two.ts':
        "import { one } from '../index-format/one.js'\nexport const two: number = one + 1\n",
    })
    assert.deepEqual(rulesOf(findings), ['fusefs/two.ts layer-door/index-format'])
  })

  it('lets a small door through beside the index.ts, but in its own layer only', () => {
    const findings = lint({
      ...CLEAN,
      'index-format/reading.ts': "export { one } from './one.js'\n",
      'fusefs/reading.ts': "export { two } from './two.js'\n",
      'fusefs/two.ts':
        "import { one } from '../index-format/reading.js'\nexport const two: number = one + 1\n",
      'snapshotter/config/three.ts':
        "import { two } from '../../fusefs/reading.js'\nexport const three: number = two + 1\n",
    })
    assert.deepEqual(rulesOf(findings), ['snapshotter/config/three.ts layer-door/fusefs'])
  })

  it('reports a room that imports a room above it', () => {
    const findings = lint({
      ...CLEAN,
      'snapshotter/images/four.ts':
        "import { eight } from '../serve/eight.js'\nexport const four: number = eight\n",
      'snapshotter/serve/eight.ts': 'export const eight = 8\n',
    })
    assert.deepEqual(rulesOf(findings), ['snapshotter/images/four.ts room-order/images'])
  })

  it('reports a room that imports a type of a room above it', () => {
    const findings = lint({
      ...CLEAN,
      'snapshotter/node/starts/five.ts':
        "import type { Eight } from '../daemon/eight.js'\nexport type Five = Eight['eight']\n",
      'snapshotter/node/daemon/eight.ts': 'export interface Eight {\n  eight: number\n}\n',
    })
    assert.deepEqual(rulesOf(findings), ['snapshotter/node/starts/five.ts room-order/node/starts'])
  })

  it('tells a room from the rooms inside it', () => {
    const findings = lint({
      ...CLEAN,
      'snapshotter/images/registry/eight.ts':
        "import { four } from '../four.js'\nexport const eight: number = four\n",
      'snapshotter/config/nine.ts':
        "import { eight } from '../images/registry/eight.js'\nexport const nine: number = eight\n",
    })
    assert.deepEqual(rulesOf(findings), [
      'snapshotter/config/nine.ts room-order/config',
      'snapshotter/images/registry/eight.ts room-order/images/registry',
    ])
  })

  it('reports an import between the two halves of snapshotter, in both directions', () => {
    const findings = lint({
      ...CLEAN,
      'snapshotter/node/admin/seven.ts':
        "import { six } from '../../publish/convert/six.js'\nexport const seven: number = six\n",
      'snapshotter/publish/optimize/eight.ts':
        "import { five } from '../../node/starts/five.js'\nexport const eight: number = five\n",
    })
    assert.deepEqual(rulesOf(findings), [
      'snapshotter/node/admin/seven.ts room-order/node/admin',
      'snapshotter/publish/optimize/eight.ts room-order/publish/optimize',
    ])
  })

  it('reports a folder of snapshotter that is not among the rooms', () => {
    const findings = lint({
      ...CLEAN,
      'snapshotter/attic/old.ts':
        "import { three } from '../errors.js'\nexport const old: number = three\n",
    })
    assert.deepEqual(rulesOf(findings), ['snapshotter/attic/old.ts room-unlisted'])
  })

  it('reports a floating promise, a default export and a builtin without node:', () => {
    const findings = lint({
      ...CLEAN,
      'fusefs/wrong.ts': [
        "import { setTimeout } from 'timers/promises'",
        'export default function wrong(): void {',
        '  setTimeout(1)',
        '}',
        '',
      ].join('\n'),
    })
    assert.deepEqual(rulesOf(findings), [
      'fusefs/wrong.ts import(no-default-export)',
      'fusefs/wrong.ts typescript(no-floating-promises)',
      'fusefs/wrong.ts unicorn(prefer-node-protocol)',
    ])
  })

  it('reports the fault of every rule, and every rule has a fault', () => {
    const files: Record<string, string> = {
      ...CLEAN,
      'fusefs/untyped.d.ts': 'export declare const a: any\n',
    }
    for (const [rule, text] of Object.entries(LINT_FAULTS)) files[pathOf(rule)] = `${text}\n`
    const findings = rulesOf(lint(files))
    const rules = Object.keys(LINT_FAULTS)
    const silent = rules.filter((rule) => !findings.includes(`${pathOf(rule)} ${rule}`))
    assert.deepEqual(silent, [])
    // A cycle needs two files, so a test of its own plants it.
    assert.deepEqual([...rules, 'import(no-cycle)'].sort(), enabledRules().sort())
  })

  it('counts as failed in `npm run lint` whichever of the two tools finds a fault', () => {
    plant(CLEAN)
    assert.equal(npmRunLint().status, 0)
    plant({ 'fusefs/wrong.ts': 'export default 1\n' })
    assert.notEqual(npmRunLint().status, 0)
    plant({ 'fusefs/wrong.ts': "import '../snapshotter/errors.js'\n" })
    const run = npmRunLint()
    assert.notEqual(run.status, 0)
    assert.match(run.stdout, /fusefs must not import snapshotter/)
  })

  function lint(files: Record<string, string>): Finding[] {
    plant(files)
    return [...codeFindings(), ...orderFindings()]
  }

  function plant(files: Record<string, string>): void {
    for (const folder of FOLDERS) mkdirSync(join(dir, folder), { recursive: true })
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true })
      writeFileSync(join(dir, name), text)
    }
  }

  function codeFindings(): Finding[] {
    const report = JSON.parse(run('oxlint', ['--format', 'json'])) as CodeReport
    return report.diagnostics.map(({ filename, code, message }) => ({
      file: filename,
      rule: code,
      message,
    }))
  }

  function orderFindings(): Finding[] {
    const report = JSON.parse(run('depcruise', ['-T', 'json', ...FOLDERS])) as OrderReport
    const { violations, ruleSetUsed } = report.summary
    return violations.map(({ from, rule: { name } }) => {
      const comments = ruleSetUsed.forbidden.filter((rule) => rule.name === name)
      return { file: from, rule: name, message: comments.map(({ comment }) => comment).join(' ') }
    })
  }

  function run(tool: string, args: readonly string[]): string {
    const path = join(repository, 'node_modules/.bin', tool)
    const result = spawnSync(path, args, { cwd: dir, encoding: 'utf8', timeout: 60_000 })
    assert.notEqual(result.stdout, '', `${basename(path)} failed: ${result.stderr}`)
    return result.stdout
  }

  function npmRunLint(): { status: number | null; stdout: string } {
    return spawnSync('npm', ['run', 'lint'], { cwd: dir, encoding: 'utf8', timeout: 60_000 })
  }

  /** The names of the rules in .oxlintrc.json, written as in findings. */
  function enabledRules(): string[] {
    const { rules } = JSON.parse(run('oxlint', ['--print-config'])) as {
      rules: Record<string, unknown>
    }
    return Object.keys(rules).map((name) => {
      const [plugin, rule] = name.includes('/') ? name.split('/') : ['eslint', name]
      return `${String(plugin)}(${String(rule)})`
    })
  }
})

describe('the rooms of snapshotter', () => {
  it('are in an order: none can be reached from itself', async () => {
    const rooms = await readRooms()
    const reached = (from: string, seen = new Set<string>()): Set<string> => {
      for (const room of rooms[from] ?? []) {
        if (!seen.has(room)) reached(room, seen.add(room))
      }
      return seen
    }
    for (const room of Object.keys(rooms)) assert.ok(!reached(room).has(room), room)
  })

  it('keep node and publish apart: only cli and the layer’s door see both', async () => {
    const rooms = await readRooms()
    const seesBoth = Object.entries(rooms).filter(([room, others]) => {
      const seen = [room, ...others]
      return ['node/', 'publish/'].every((half) => seen.some((name) => name.startsWith(half)))
    })
    assert.deepEqual(seesBoth.map(([room]) => room).sort(), ['cli', 'index.ts'])
  })
})

async function readRooms(): Promise<Record<string, readonly string[]>> {
  const url = pathToFileURL(join(repository, '.dependency-cruiser.js')).href
  const { ROOMS } = (await import(url)) as { ROOMS: Record<string, readonly string[]> }
  return ROOMS
}

function pathOf(rule: string): string {
  return `fusefs/${rule.replace('(', '-').replace(')', '')}.ts`
}

function rulesOf(findings: readonly Finding[]): string[] {
  return [...new Set(findings.map(({ file, rule }) => `${file} ${rule}`))].sort()
}
