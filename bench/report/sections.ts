/**
 * The tables of the report, as cells of text. markdown.ts and page.ts render them as markdown and
 * HTML.
 */
import { type Figures, networkText } from './figures.js'
import { resourceTable } from './resource-table.js'
import { significant } from './markdown-table.js'
import type { Table } from './table.js'
import type { Network } from '../cold-start/start-record.js'
import { geometricMeanOf } from '../statistics.js'

/** The tables of one network. */
export interface Section {
  readonly network: Network
  readonly title: string
  readonly tables: readonly Table[]
}

/** Numerator and denominator of the ratios in the report. */
const RATIOS = [
  ['overlayfs', 'thin-profile'],
  ['thin-profile', 'floor'],
] as const

export function sectionsOf(figures: Figures): readonly Section[] {
  return figures.networks.map((network) => ({
    network,
    title: networkText(network),
    tables: [
      totalTable(figures, network.name),
      phaseTable(figures, network.name),
      trafficTable(figures, network.name),
      resourceTable(figures, network.name),
    ],
  }))
}

function totalTable(figures: Figures, network: string): Table {
  const { contenders, workloads } = figures
  const columns = [...contenders, 'floor']
  const common = figures.common([network], contenders)
  const mean = (name: string): number | undefined =>
    geometricMeanOf(common.flatMap((workload) => figures.totalMs(network, workload, name) ?? []))
  const totalCell = (workload: string, contender: string): string => {
    const total = figures.cell(network, workload, contender)?.totalMs
    if (total === undefined) return '-'
    const spread = `(${seconds(total.min)}–${seconds(total.max)})`
    return total.count === 1 ? seconds(total.median) : `${seconds(total.median)} ${spread}`
  }
  return {
    title: 'Seconds from the pull until ready: median (lowest–highest)',
    head: ['', ...columns, ...RATIOS.map((pair) => pair.join(' ÷ '))],
    rows: workloads.map((workload) => [
      workload,
      ...contenders.map((contender) => totalCell(workload, contender)),
      seconds(figures.floor(network, workload)?.totalMs),
      ...RATIOS.map((pair) => times(figures.ratio(network, workload, pair))),
    ]),
    foot: [
      [
        `geometric mean${common.length < workloads.length ? ` (seconds: of the ${common.length} that all have)` : ''}`,
        ...columns.map((name) => seconds(mean(name))),
        ...RATIOS.map((pair) => times(figures.meanRatio(network, pair))),
      ],
    ],
  }
}

function phaseTable(figures: Figures, network: string): Table {
  return {
    title: 'Seconds: pull / create / run, medians',
    head: ['', ...figures.contenders],
    rows: figures.workloads.map((workload) => [
      workload,
      ...figures.contenders.map((contender) => {
        const cell = figures.cell(network, workload, contender)
        if (cell === undefined) return '-'
        return [cell.pullMs, cell.createMs, cell.runMs].map(seconds).join(' / ')
      }),
    ]),
    foot: [],
  }
}

function trafficTable(figures: Figures, network: string): Table {
  return {
    title:
      'HTTP requests until ready (of those, after the task was started) / MB received, medians',
    head: ['', ...figures.contenders, 'touched'],
    rows: figures.workloads.map((workload) => [
      workload,
      ...figures.contenders.map((contender) => {
        const cell = figures.cell(network, workload, contender)
        if (cell === undefined) return '-'
        const requests = `${Math.round(cell.requests)} (${Math.round(cell.requestsWhileRunning)})`
        return `${requests} / ${megabytes(cell.receivedBytes)}`
      }),
      megabytes(figures.floor(network, workload)?.touchedBytes),
    ]),
    foot: [],
  }
}

/**
 * Seconds as text, with two decimals up to ten seconds and fewer above: a start is not measured
 * more exactly.
 */
export function seconds(ms: number | undefined): string {
  if (ms === undefined) return '-'
  if (ms >= 100_000) return (ms / 1000).toFixed(0)
  return (ms / 1000).toFixed(ms >= 10_000 ? 1 : 2)
}

function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? '-' : significant(bytes / 1e6)
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '-' : `${significant(ratio)}×`
}
