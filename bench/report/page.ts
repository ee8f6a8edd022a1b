/**
 * The report as one HTML file. It loads nothing from elsewhere and has a light and a dark style.
 */
import { conditionsOf } from './conditions.js'
import type { Figures } from './figures.js'
import { type Section, sectionsOf } from './sections.js'
import { escapedXml } from './svg.js'
import type { Table } from './table.js'
import type { ColdStartResult } from '../cold-start/start-record.js'

const STYLE = `
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --rule: #d1d9e0; --paper: #fff; --stripe: #f6f8fa }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --faint: #9198a1; --rule: #3d444d; --paper: #0d1117; --stripe: #151b23 }
}
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 1280px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif }
h2 { margin-top: 3rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule) }
nav a { margin-right: 1rem }
a { color: inherit }
code { background: var(--stripe); padding: .1em .3em; border-radius: 4px }
.faint, caption { color: var(--faint) }
figure { margin: 1.5rem 0 }
figure svg { display: block; max-width: 100%; height: auto; border: 1px solid var(--rule); border-radius: 6px }
.wide { overflow-x: auto; margin: 1.5rem 0 }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
caption { text-align: left; padding-bottom: .4rem; white-space: nowrap }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule) }
thead th { white-space: normal; vertical-align: bottom }
th:first-child { text-align: left }
tbody tr:nth-child(even) { background: var(--stripe) }
tfoot th, tfoot td { font-weight: 600; border-top: 2px solid var(--rule) }
`

/**
 * `charts` has the charts of each network under the network's name, and those of all networks under
 * `''`.
 */
export function pageOf(
  result: ColdStartResult,
  figures: Figures,
  charts: ReadonlyMap<string, readonly string[]>,
): string {
  const sections = sectionsOf(figures)
  const links = sections.map(({ title }, i) => `<a href="#network-${i}">${escapedXml(title)}</a>`)
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><title>Cold start</title>',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<style>${STYLE}</style></head><body>`,
    '<h1>Cold start</h1>',
    `<p><code>${escapedXml(result.command)}</code>, ${escapedXml(result.date)}<br>`,
    `<span class="faint">${escapedXml(result.machine)}</span></p>`,
    '<ul>',
    ...conditionsOf(result, figures).map((text) => `<li>${escapedXml(text)}</li>`),
    '</ul>',
    `<nav>${links.join(' ')}</nav>`,
    ...(charts.get('') ?? []).map(figure),
    ...sections.flatMap((section, i) => sectionHtml(section, i, charts)),
    '</body></html>',
    '',
  ].join('\n')
}

function sectionHtml(
  { network, title, tables }: Section,
  index: number,
  charts: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  return [
    `<h2 id="network-${index}">${escapedXml(title)}</h2>`,
    ...(charts.get(network.name) ?? []).map(figure),
    ...tables.map(tableHtml),
  ]
}

function figure(svg: string): string {
  return `<figure>${svg}</figure>`
}

function tableHtml({ title, head, rows, foot }: Table): string {
  const line = (row: readonly string[]): string =>
    `<tr>${row.map((text, i) => (i === 0 ? `<th scope="row">${escapedXml(text)}</th>` : `<td>${escapedXml(text)}</td>`)).join('')}</tr>`
  const titles = head.map((text) => `<th scope="col">${escapedXml(text)}</th>`).join('')
  return [
    `<div class="wide"><table><caption>${escapedXml(title)}</caption>`,
    `<thead><tr>${titles}</tr></thead>`,
    `<tbody>${rows.map(line).join('\n')}</tbody>`,
    ...(foot.length === 0 ? [] : [`<tfoot>${foot.map(line).join('\n')}</tfoot>`]),
    '</table></div>',
  ].join('\n')
}
