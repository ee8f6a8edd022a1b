import assert from 'node:assert/strict'
import { SnapshotterError } from '../../../../snapshotter/errors.js'
import { parseFilters } from '../../../../snapshotter/node/snapshots/snapshot-filter.js'
import type { Snapshot } from '../../../../snapshotter/node/snapshots/snapshot.js'

function snapshot(
  key: string,
  kind: Snapshot['kind'],
  labels: Snapshot['labels'] = {},
  parent?: string,
): Snapshot {
  const usage = { sizeBytes: 0, inodes: 0 }
  return { id: 1, key, kind, parent, labels, createdNs: 0n, updatedNs: 0n, usage, thin: undefined }
}

const SNAPSHOTS = [
  snapshot('plain', 'active'),
  snapshot('base', 'committed', { foo: 'true', 'more complex label': 'present' }),
  snapshot('upper', 'committed', { foo: 'omg_asdf.asdf-qwer', 'a.b.c': 'dots' }, 'base'),
  snapshot('a view', 'view', { 'with "quotes" and \\': 'x', tab: 'a\tb' }, 'upper'),
  snapshot('牛', 'active', { moo: '牛,牛', 'containerd.io/snapshot.ref': 'sha256:0' }, 'upper'),
]
const ALL = SNAPSHOTS.map(({ key }) => key)

const ACCEPTED: readonly (readonly [string, readonly string[]])[] = [
  ['', ALL],
  ['name', ALL],
  ['parent', ALL],
  ['kind', ALL],
  ['id', []],
  ['labels', []],
  ['labels.foo', ['base', 'upper']],
  ['labels.foo,name', ['base', 'upper']],
  ['labels.foo==true', ['base']],
  ['labels.foo == true', ['base']],
  ['  labels.foo==true', ['base']],
  ['labels.foo==  true', ['base']],
  ['labels.foo==omg_asdf.asdf-qwer', ['upper']],
  ['labels.foo!=true', ['plain', 'upper', 'a view', '牛']],
  ['labels.a.b.c==dots', ['upper']],
  ['labels."a.b".c==dots', ['upper']],
  ['labels."more complex label"', ['base']],
  ['name==base,labels."more complex label"==present', ['base']],
  ['labels."with \\"quotes\\" and \\\\"==x', ['a view']],
  ['labels.tab=="a\\tb"', ['a view']],
  ['labels.tab=="a\\x09b"', ['a view']],
  ['labels.tab=="a\\011b"', ['a view']],
  ['labels.tab=="a\\u0009b"', ['a view']],
  ['labels.tab=="a\\U00000009b"', ['a view']],
  ['name==牛', ['牛']],
  ['name=="\\u725b"', ['牛']],
  ['name=="\\xe7\\x89\\x9b"', ['牛']],
  ['labels.moo=="牛,牛"', ['牛']],
  ['labels."containerd.io/snapshot.ref"', ['牛']],
  ['name=="a view"', ['a view']],
  ['kind==committed', ['base', 'upper']],
  ['kind==active,parent==upper', ['牛']],
  ['kind.whatever==view', ['a view']],
  ['parent==""', ['plain', 'base']],
  ['parent!=""', ['upper', 'a view', '牛']],
  ['name~=^.{5}$', ['plain', 'upper']],
  ['name~=/^.{4,5}$/', ['plain', 'base', 'upper']],
  ['name~=|^[a-s]+e|,kind==committed', ['base']],
  ['name~="^b"', ['base']],
  ['labels.moo~=/牛,/', ['牛']],
  ['labels."containerd.io/snapshot.ref"~=|/|', []],
  ['name~=/(?i)PLAIN/', ['plain']],
  ['name~=/\\\\Aplain\\\\z/', ['plain']],
  ['labels.nope~=/^$/', ALL],
  ['name==a==b', []],
]

const REFUSED: readonly (readonly [string, number, RegExp])[] = [
  ['labels.', 8, /expected a field/],
  ['name==base,', 12, /expected a field/],
  [',name', 1, /expected a field/],
  ['.name', 1, /expected a field/],
  ['?', 1, /expected a field/],
  ['name?', 5, /expected one of the operators/],
  ['name=base', 5, /expected one of the operators/],
  ['name===base', 5, /expected one of the operators/],
  ['name<base', 5, /expected one of the operators/],
  ['pare nt', 6, /expected one of the operators/],
  ['name==', 7, /expected a value/],
  ['name==,kind', 7, /expected a value/],
  ['name==.x', 7, /expected a value/],
  ['name==base kind', 11, /expected a comma or the end/],
  ['name==base ', 11, /expected a comma or the end/],
  ['name=="a"b', 10, /expected a comma or the end/],
  ['labels.|foo|==x', 8, /only double quotes/],
  ['name==/base/', 7, /only double quotes/],
  ['labels.ns/key==value', 10, /without its closing \//],
  ['name=="base', 7, /without its closing "/],
  ['name=="ba\nse"', 7, /without its closing "/],
  ['name=="\\', 7, /without its closing "/],
  ['labels."\\g"', 8, /escape sequence that is none: \\g/],
  ['labels."\\xaz"', 8, /escape sequence/],
  ['labels."\\777"', 8, /escape sequence/],
  ['labels."\\U00110000"', 8, /escape sequence/],
  ['name~=/(/', 7, /not a regular expression/],
  ['name~=/(?=x)/', 7, /not a regular expression/],
  ['foo\0bar', 4, /no filter may hold/],
]

describe('parseFilters', () => {
  for (const [filter, keys] of ACCEPTED) {
    it(`understands ${JSON.stringify(filter)}`, () => {
      const matches = parseFilters([filter])
      assert.deepEqual(
        SNAPSHOTS.filter(matches).map(({ key }) => key),
        keys,
      )
    })
  }

  for (const [filter, place, problem] of REFUSED) {
    it(`refuses ${JSON.stringify(filter)} at character ${place}`, () => {
      assert.throws(
        () => parseFilters([filter]),
        (error) => {
          assert.ok(error instanceof SnapshotterError)
          assert.equal(error.code, 'invalid-argument')
          assert.match(error.message, problem)
          assert.match(error.message, new RegExp(`at character ${place}:`))
          return true
        },
      )
    })
  }

  it('matches everything without a filter, and any of several', () => {
    assert.equal(SNAPSHOTS.filter(parseFilters([])).length, SNAPSHOTS.length)
    const some = SNAPSHOTS.filter(parseFilters(['name==plain', 'kind==view', 'kind==view']))
    assert.deepEqual(
      some.map(({ key }) => key),
      ['plain', 'a view'],
    )
  })

  it('refuses too many and too long filters', () => {
    const tooMuch = { code: 'invalid-argument', message: /1000 filters of 65536 characters/ }
    assert.throws(() => parseFilters(Array.from({ length: 1001 }, () => 'name')), tooMuch)
    assert.throws(() => parseFilters(['n'.repeat(70_000)]), tooMuch)
  })

  it('takes linear time for patterns on which others take exponential time', () => {
    const matches = parseFilters(['name~=/^(a+)+$/'])
    const startMs = performance.now()
    assert.equal(matches(snapshot(`${'a'.repeat(5000)}b`, 'active')), false)
    assert.ok(performance.now() - startMs < 2000)
  })
})
