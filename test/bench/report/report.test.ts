import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FAR, LOOPBACK, NETWORKS, largeResult, resultOf, startOf } from './sample-result.js'
import type { ColdStartResult } from '../../../bench/cold-start/start-record.js'
import { markdownOf } from '../../../bench/report/markdown.js'
import { writeReport } from '../../../bench/report/write-report.js'
import { geometricMeanOf } from '../../../bench/statistics.js'

/** A result of two workloads and three contenders over one network, with round ratios. */
function smallResult(): ColdStartResult {
  const totals = { overlayfs: [4000, 9000], thin: [2000, 3000], 'thin-profile': [1000, 1000] }
  const starts = Object.entries(totals).flatMap(([contender, pair]) =>
    pair.flatMap((totalMs, i) =>
      [0, 400, -400].map((off, run) => {
        const workload = i === 0 ? 'python' : 'redis'
        const pullMs = totalMs + off - 200
        return startOf({ workload, contender, run: run + 1, pullMs, createMs: 50, runMs: 150 })
      }),
    ),
  )
  const floors = ['python', 'redis'].map((workload) => ({
    workload,
    network: 'loopback',
    warmMs: 450,
    touchedBytes: 1_230_000,
    roundTrips: 4,
    totalMs: 500,
  }))
  return resultOf({ starts, floors })
}

/** Returns the cells of the first table row that starts with `name`. */
function rowOf(markdown: string, name: string): readonly string[] {
  const line = markdown.split('\n').find((text) => text.startsWith(`| ${name}`))
  assert.ok(line !== undefined, `no row ${name} in\n${markdown}`)
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}

async function filesOf(result: ColdStartResult): Promise<ReadonlyMap<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'thin-report-'))
  try {
    await writeReport(result, folder)
    const files = new Map<string, string>()
    for (const name of (await readdir(folder)).sort()) {
      files.set(name, await readFile(join(folder, name), 'utf8'))
    }
    return files
  } finally {
    await rm(folder, { recursive: true })
  }
}

/**
 * Throws if a tag is not closed, or is closed by another tag. Attributes and text must not contain
 * unescaped angle brackets.
 */
function assertWellFormed(svg: string): void {
  const open: string[] = []
  const rest = svg.replaceAll(/<(\/?)([a-zA-Z]+)((?: [\w:-]+="[^"<]*")*)\s*(\/?)>/g, (...match) => {
    const [, closing, name, , empty] = match.map(String)
    if (closing === '/') assert.equal(open.pop(), name)
    else if (empty !== '/') open.push(name ?? '')
    return ''
  })
  assert.deepEqual(open, [])
  assert.doesNotMatch(rest, /[<>]|&(?!#?\w+;)/)
}

describe('the report of cold starts', () => {
  it('has the medians with their spread, the ratios, and the geometric means at the foot', () => {
    const markdown = markdownOf(smallResult())
    assert.deepEqual(rowOf(markdown, 'python'), [
      'python',
      '4.00 (3.60–4.40)',
      '2.00 (1.60–2.40)',
      '1.00 (0.60–1.40)',
      '0.50',
      '4.00×',
      '2.00×',
    ])
    const foot = rowOf(markdown, 'geometric mean')
    assert.deepEqual(foot.slice(1), ['6.00', '2.45', '1.00', '0.50', '6.00×', '2.00×'])
  })

  it('has pull, create and run, and the requests and bytes of each', () => {
    const markdown = markdownOf(smallResult())
    assert.match(markdown, /\| python +\| 3\.80 \/ 0\.05 \/ 0\.15 \| 1\.80 \/ 0\.05 \/ 0\.15 /)
    assert.match(markdown, /\| python +\|( 12 \(3\) \/ 2\.50 \|){3} +1\.23 \|/)
    assert.match(markdown, /\| thin: containerd +\| +0\.250 \| +64 \|/)
  })

  it('says by what command, where and when it was measured, and who was not and why', () => {
    const skipped = [{ contender: 'nydus', reason: 'nydusd is not on the PATH' }]
    const markdown = markdownOf({ ...smallResult(), skipped })
    assert.match(markdown, /`bench\/run cold-start`, 2026-01-02T03:04:05\.000Z/)
    assert.match(markdown, /^2 × some processor$/m)
    assert.match(markdown, /Not measured: nydus \(nydusd is not on the PATH\)\./)
    assert.doesNotMatch(markdown, /Incomplete/)
  })

  it('renders an interrupted benchmark and says what is missing', async () => {
    const { starts, floors } = smallResult()
    const kept = starts.filter(
      ({ workload, contender, run }) =>
        !(workload === 'redis' && (contender === 'thin-profile' || run > 2)),
    )
    const partial = resultOf({
      starts: kept,
      floors: floors.slice(0, 1),
      networks: [LOOPBACK, FAR],
    })
    const files = await filesOf(partial)
    const markdown = files.get('report.md') ?? ''
    assert.deepEqual(rowOf(markdown, 'redis').slice(3), ['-', '-', '-', '-'])
    assert.equal(rowOf(markdown, 'geometric mean').at(-2), '4.00×')
    assert.match(markdown, /redis by thin over loopback: 2 of 3; redis by thin-profile .*: 0 of 3/)
    assert.match(files.get('starts-loopback.svg') ?? '', /not measured/)
  })

  it('renders a benchmark that was interrupted before its first start', async () => {
    const files = await filesOf(resultOf({}))
    assert.deepEqual([...files.keys()], ['report.html', 'report.md'])
  })

  it('draws every workload of a large benchmark in small, well-formed charts', async () => {
    const result = largeResult(2)
    const files = await filesOf(result)
    const charts = [...files].filter(([name]) => name.endsWith('.svg'))
    assert.equal(charts.length, 2 * NETWORKS.length + 1)
    for (const [name, svg] of charts) {
      assertWellFormed(svg)
      assert.ok(svg.length < 100_000, `${name} has ${svg.length} bytes`)
    }
    const { starts } = result
    for (const workload of new Set(starts.map((start) => start.workload))) {
      assert.match(files.get('starts-10ms.svg') ?? '', new RegExp(`>${workload}</text>`))
      assert.match(files.get('bytes-10ms.svg') ?? '', new RegExp(`>${workload}</text>`))
    }
    for (const contender of new Set(starts.map((start) => start.contender))) {
      assert.match(
        files.get('round-trips.svg') ?? '',
        new RegExp(`>${contender}: [\\d.]+ s</text>`),
      )
    }
  })

  it('gives the same bytes for the same result', async () => {
    assert.deepEqual(await filesOf(largeResult(1)), await filesOf(largeResult(1)))
  })

  it('loads nothing from elsewhere and escapes the names', async () => {
    const workload = '<script>"a&b"</script>'
    const skipped = [{ contender: 'x', reason: '<b>no</b>' }]
    const files = await filesOf(resultOf({ starts: [startOf({ workload })], skipped }))
    const html = files.get('report.html') ?? ''
    assert.match(html, /&lt;script&gt;&quot;a&amp;b&quot;&lt;\/script&gt;/)
    assert.match(html, /&lt;b&gt;no&lt;\/b&gt;/)
    assert.doesNotMatch(html, /<script|<b>|<link|<img|@import| src=/)
    assertWellFormed(files.get('starts-loopback.svg') ?? '')
  })
})

describe('the geometric mean', () => {
  it('is the root of the product, and of nothing there is none', () => {
    assert.equal(geometricMeanOf([2, 8])?.toFixed(9), '4.000000000')
    assert.equal(geometricMeanOf([]), undefined)
  })
})
