/** What a benchmark hands back, and how it is printed: a table, the claims it supports, the conditions. */
import { markdownTable, significant } from './report/markdown-table.js'
import { type Summary, summaryOf } from './statistics.js'

/** One contender, or one size, with its measurements by column. */
interface ReportRow {
  readonly name: string
  /** By column: every single measurement, in order. */
  readonly samples: Readonly<Record<string, readonly number[]>>
}

/** A figure that the project promises. */
export interface Claim {
  readonly text: string
  readonly value: number
  readonly limit: number
  readonly relation: 'at least' | 'at most'
}

export interface Report {
  readonly name: string
  /** What was done, for somebody who wants to do it again. */
  readonly method: string
  readonly rows: readonly ReportRow[]
  readonly claims: readonly Claim[]
}

export function isMet({ value, limit, relation }: Claim): boolean {
  return relation === 'at least' ? value >= limit : value <= limit
}

/** A line of a list. */
export function textOfClaim(claim: Claim): string {
  const { text, value, limit, relation } = claim
  const verdict = isMet(claim) ? 'met' : 'NOT MET'
  return `- ${text}: ${significant(value)} (${relation} ${significant(limit)}: ${verdict})`
}

/** A markdown table of medians with their spread, and under it the claims. */
export function textOf(report: Report): string {
  const columns = [...new Set(report.rows.flatMap(({ samples }) => Object.keys(samples)))]
  const table = markdownTable(
    ['', ...columns],
    report.rows.map(({ name, samples }) => [
      name,
      ...columns.map((column) => cellOf(column, samples[column])),
    ]),
  )
  const claims = report.claims.map(textOfClaim)
  return [`## ${report.name}`, '', report.method, '', table, '', ...claims, ''].join('\n')
}

function cellOf(column: string, samples: readonly number[] | undefined): string {
  if (samples === undefined || samples.length === 0) return '-'
  const summary = summaryOf(samples)
  return summary.count === 1 ? show(column, summary.median) : spread(column, summary)
}

function spread(column: string, { median, min, max }: Summary): string {
  if (min === max) return show(column, median)
  return `${show(column, median)} (${show(column, min)}–${show(column, max)})`
}

/** Counts are whole; everything else is rounded to what a measurement can say. */
function show(column: string, value: number): string {
  return column.startsWith('requests') ? String(Math.round(value)) : significant(value)
}
