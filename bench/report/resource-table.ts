/** The costs of a start for the machine: processor time and memory of every process involved. */
import type { Cell, Figures } from './figures.js'
import { significant } from './markdown-table.js'
import type { Table } from './table.js'
import { medianOf } from '../statistics.js'

export function resourceTable(figures: Figures, network: string): Table {
  const rows = figures.contenders.flatMap((contender) => {
    const cells = figures.workloads.flatMap(
      (workload) => figures.cell(network, workload, contender) ?? [],
    )
    const processes = [...new Set(cells.flatMap(processesOf))].sort()
    return processes.map((name) => [
      `${contender}: ${name}`,
      significant(meanCpuSeconds(cells, name)),
      (peakRssBytes(cells, name) / 2 ** 20).toFixed(0),
    ])
  })
  return {
    title: 'CPU seconds of a start (mean over the workloads of the medians) and peak memory',
    head: ['', 'CPU s', 'peak MiB'],
    rows,
    foot: [],
  }
}

function processesOf({ starts }: Cell): readonly string[] {
  return starts.flatMap(({ cpuSeconds, peakRssBytes }) => [
    ...Object.keys(cpuSeconds),
    ...Object.keys(peakRssBytes),
  ])
}

/** If a start did not have the process, it counts as 0 seconds. */
function meanCpuSeconds(cells: readonly Cell[], name: string): number {
  const medians = cells.map(({ starts }) =>
    medianOf(starts.map(({ cpuSeconds }) => cpuSeconds[name] ?? 0)),
  )
  return medians.reduce((sum, value) => sum + value, 0) / medians.length
}

function peakRssBytes(cells: readonly Cell[], name: string): number {
  return Math.max(
    0,
    ...cells.flatMap(({ starts }) => starts.map(({ peakRssBytes }) => peakRssBytes[name] ?? 0)),
  )
}
