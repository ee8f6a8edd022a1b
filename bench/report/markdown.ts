/** The report as markdown: first the conditions, then the tables of every network. */
import { conditionsOf } from './conditions.js'
import { Figures } from './figures.js'
import { markdownTable } from './markdown-table.js'
import { sectionsOf } from './sections.js'
import type { ColdStartResult } from '../cold-start/start-record.js'

/** Renders the results that exist. The report of an interrupted benchmark says what is missing. */
export function markdownOf(result: ColdStartResult): string {
  const figures = new Figures(result)
  const lines = ['# Cold start', '', `\`${result.command}\`, ${result.date}  `, result.machine, '']
  for (const condition of conditionsOf(result, figures)) lines.push(`- ${escaped(condition)}`)
  for (const { title, tables } of sectionsOf(figures)) {
    lines.push('', `## ${escaped(title)}`)
    for (const { title: caption, head, rows, foot } of tables) {
      const cells = [...rows, ...foot].map((row) => row.map(escaped))
      lines.push('', `${caption}:`, '', markdownTable(head.map(escaped), cells))
    }
  }
  return `${lines.join('\n')}\n`
}

/** Escapes text for a cell: a bar would end the cell, and a line feed would end the table. */
function escaped(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replaceAll(/\s*\n\s*/g, ' ')
}
