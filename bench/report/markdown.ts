/** The report as markdown: conditions first, then the tables of every network. */
import { conditionsOf } from './conditions.js'
import { Figures } from './figures.js'
import { markdownTable } from './markdown-table.js'
import { sectionsOf } from './sections.js'
import type { ColdStartResult } from '../cold-start/start-record.js'

/** Renders whatever is there: an interrupted benchmark says what it lacks. */
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

/** A bar would end a cell, a line feed the table. */
function escaped(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replaceAll(/\s*\n\s*/g, ' ')
}
