/**
 * Pull, create and run of each workload by each contender over one network: one small chart for
 * each workload.
 */
import { type Figures, networkText } from './figures.js'
import { BAR_ICON, FAINT, FONT, INK, PAPER, RULE, lookOf, tinted, titleOf } from './palette.js'
import { seconds } from './sections.js'
import type { Chart } from './svg.js'
import { fileWordOf } from './file-word.js'
import type { Network } from '../cold-start/start-record.js'

const COLUMNS = 3
const WIDTH_PX = 960
const HEAD_PX = 100
const BAR_PX = 16
/** Height of the title above and of the space below the bars of one workload. */
const PANEL_EXTRA_PX = 44
/** Width of the names left of the bars, and of the figures right of them. */
const NAMES_PX = 92
const FIGURES_PX = 46

/** `tint` is the share of the contender's colour; the rest is white. */
const PHASES = [
  { name: 'pull', field: 'pullMs', tint: 1 },
  { name: 'create', field: 'createMs', tint: 0.65 },
  { name: 'run until ready', field: 'runMs', tint: 0.35 },
] as const

export function startChart(figures: Figures, network: Network): Chart {
  const { workloads, contenders } = figures
  const panelPx = contenders.length * BAR_PX + PANEL_EXTRA_PX
  const columnPx = (WIDTH_PX - 16) / COLUMNS
  const panels = workloads.map((workload, i) => ({
    workload,
    leftPx: 8 + (i % COLUMNS) * columnPx,
    topPx: HEAD_PX + Math.floor(i / COLUMNS) * panelPx,
  }))
  const heading = titleOf(
    `Cold start: seconds from the pull until ready, ${networkText(network)}`,
    `Medians of ${figures.runs} runs; every workload has its own scale, from 0`,
  )
  return {
    name: `starts-${fileWordOf(network.name)}`,
    description: `Stacked bars of pull, create and run over ${networkText(network)} for ${workloads.join(', ')}`,
    widthPx: WIDTH_PX,
    heightPx: HEAD_PX + Math.ceil(workloads.length / COLUMNS) * panelPx,
    option: {
      backgroundColor: PAPER,
      textStyle: { fontFamily: FONT },
      title: [
        heading,
        ...panels.map(({ workload, leftPx, topPx }) => ({
          text: workload,
          left: leftPx + NAMES_PX - 5,
          top: topPx,
          textStyle: { fontSize: 13, color: INK, fontFamily: FONT },
        })),
      ],
      legend: legend(),
      grid: panels.map(({ leftPx, topPx }) => ({
        left: leftPx + NAMES_PX,
        top: topPx + 24,
        width: columnPx - NAMES_PX - FIGURES_PX,
        height: contenders.length * BAR_PX,
      })),
      xAxis: panels.map(({ workload }, i) => ({
        type: 'value',
        gridIndex: i,
        show: false,
        min: 0,
        max: longestMs(figures, network.name, workload),
      })),
      yAxis: panels.map((_, i) => ({
        type: 'category',
        gridIndex: i,
        inverse: true,
        data: contenders,
        axisTick: { show: false },
        axisLine: { lineStyle: { color: RULE } },
        axisLabel: {
          color: FAINT,
          fontSize: 11.5,
          interval: 0,
          margin: 6,
          width: 84,
          overflow: 'truncate',
        },
      })),
      series: [
        ...workloads.flatMap((workload, i) => panelSeries(figures, network.name, workload, i)),
        { name: 'floor', type: 'line', data: [], xAxisIndex: 0, yAxisIndex: 0 },
      ],
    },
  }
}

/** The legend shows the phases in greys, because every contender has shades of its own colour. */
function legend(): object {
  return {
    left: 16,
    top: 62,
    selectedMode: false,
    itemWidth: 16,
    itemHeight: 10,
    itemGap: 16,
    textStyle: { color: FAINT, fontSize: 12 },
    data: [
      ...PHASES.map(({ name, tint }) => ({
        name,
        icon: 'rect',
        itemStyle: { color: tinted('#444444', tint) },
      })),
      { name: 'floor', icon: BAR_ICON, itemStyle: { color: INK } },
    ],
  }
}

/**
 * The three phases of a workload as bars, the total at the end of the bar, and the floor as a line
 * across all bars.
 */
function panelSeries(
  figures: Figures,
  network: string,
  workload: string,
  index: number,
): readonly object[] {
  const cells = figures.contenders.map((contender) => ({
    color: lookOf(contender, figures.contenders).color,
    cell: figures.cell(network, workload, contender),
  }))
  const place = {
    type: 'bar',
    silent: true,
    stack: `${index}`,
    xAxisIndex: index,
    yAxisIndex: index,
  }
  const floorMs = figures.floor(network, workload)?.totalMs
  const bars = PHASES.map(({ name, field, tint }) => ({
    ...place,
    name,
    barWidth: BAR_PX - 5,
    data: cells.map(({ cell, color }) => ({
      value: cell?.[field] ?? 0,
      itemStyle: { color: tinted(color, tint) },
    })),
  }))
  const totals = {
    ...place,
    name: 'total',
    data: cells.map(({ cell }) => ({
      value: 0,
      label: {
        show: true,
        position: 'right',
        distance: 4,
        color: cell === undefined ? FAINT : INK,
        fontSize: 11.5,
        formatter: cell === undefined ? 'not measured' : `${seconds(cell.totalMs.median)} s`,
      },
    })),
    markLine: {
      silent: true,
      symbol: 'none',
      label: { show: false },
      lineStyle: { color: INK, width: 1.5, type: 'solid' },
      data: floorMs === undefined ? [] : [{ xAxis: floorMs }],
    },
  }
  return [...bars, totals]
}

/**
 * Returns the longest bar. It is the sum of the phases, whose medians may add up to more than the
 * median of the total.
 */
function longestMs(figures: Figures, network: string, workload: string): number {
  const sums = figures.contenders.map((contender) => {
    const cell = figures.cell(network, workload, contender)
    return cell === undefined ? 0 : cell.pullMs + cell.createMs + cell.runMs
  })
  return Math.max(1, figures.floor(network, workload)?.totalMs ?? 0, ...sums)
}
