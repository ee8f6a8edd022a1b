/**
 * The result of a benchmark and its printed form: a table, the claims that it supports, and the
 * conditions.
 */
import { markdownTable, significant } from './report/markdown-table.js'
import { type Summary, summaryOf } from './statistics.js'

/** The measurements of one contender or one size, by column. */
interface ReportRow {
  readonly name: string
  /** All single measurements in order, by column. */
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
  /** Description of the measurement for a person who wants to repeat it. */
  readonly method: string
  readonly rows: readonly ReportRow[]
  readonly claims: readonly Claim[]
}

export function isMet({ value, limit, relation }: Claim): boolean {
  return relation === 'at least' ? value >= limit : value <= limit
}

/** A claim as a line of a markdown list. */
export function textOfClaim(claim: Claim): string {
  const { text, value, limit, relation } = claim
  const verdict = isMet(claim) ? 'met' : 'NOT MET'
  return `- ${text}: ${significant(value)} (${relation} ${significant(limit)}: ${verdict})`
}

/** A markdown table of medians with their spread, and the claims below it. */
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

/**
 * Formats a value: counts as whole numbers, other values with the digits that a measurement
 * supports.
 */
function show(column: string, value: number): string {
  return column.startsWith('requests') ? String(Math.round(value)) : significant(value)
}
