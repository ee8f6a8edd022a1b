/** The time until ready by round-trip time of the network: one curve for each contender. */
import { type Figures, networkText } from './figures.js'
import { FAINT, FONT, INK, PAPER, RULE, lookOf, titleOf } from './palette.js'
import { seconds } from './sections.js'
import type { Chart } from './svg.js'
import { geometricMeanOf } from '../statistics.js'

const WIDTH_PX = 960
const HEIGHT_PX = 460

/**
 * Returns undefined if there is nothing to compare: fewer than two networks, or no workload that
 * was started over all of them.
 */
export function roundTripChart(figures: Figures): Chart | undefined {
  const networks = [...figures.networks].sort((a, b) => a.roundTripMs - b.roundTripMs)
  const names = networks.map(({ name }) => name)
  const contenders = figures.contenders.filter((name) => figures.common(names, [name]).length > 0)
  const common = figures.common(names, contenders)
  if (networks.length < 2 || contenders.length === 0 || common.length === 0) return undefined
  const hasFloor = figures.common(names, ['floor']).length >= common.length
  const curves = [...contenders, ...(hasFloor ? ['floor'] : [])].map((name) => ({
    name,
    points: names.map((network) => meanSeconds(figures, network, common, name)),
  }))
  return {
    name: 'round-trips',
    description: `Geometric means over the networks ${networks.map(networkText).join('; ')} of ${common.join(', ')}`,
    widthPx: WIDTH_PX,
    heightPx: HEIGHT_PX,
    option: {
      backgroundColor: PAPER,
      textStyle: { fontFamily: FONT },
      title: titleOf(
        'Cold start: seconds until ready over the round-trip time',
        `Geometric mean of the ${common.length} workloads that all have started over all networks; logarithmic scale`,
      ),
      grid: { left: 64, right: 190, top: 84, bottom: 56 },
      xAxis: {
        type: 'category',
        boundaryGap: false,
        data: networks.map(networkText),
        axisLine: { lineStyle: { color: RULE } },
        axisTick: { alignWithLabel: true },
        axisLabel: { color: FAINT, fontSize: 12, interval: 0, margin: 12 },
        splitLine: { show: true, lineStyle: { color: '#eff2f5' } },
      },
      yAxis: {
        type: 'log',
        axisLabel: { color: FAINT, fontSize: 12, formatter: '{value} s' },
        splitLine: { lineStyle: { color: RULE } },
      },
      series: curves.map(({ name, points }) => curve(name, points, contenders)),
    },
  }
}

function meanSeconds(
  figures: Figures,
  network: string,
  workloads: readonly string[],
  contender: string,
): number | undefined {
  const totals = workloads.flatMap(
    (workload) => figures.totalMs(network, workload, contender) ?? [],
  )
  const mean = geometricMeanOf(totals)
  return mean === undefined ? undefined : mean / 1000
}

function curve(
  name: string,
  points: readonly (number | undefined)[],
  contenders: readonly string[],
): object {
  const isFloor = name === 'floor'
  const look = isFloor ? { color: INK, symbol: 'none' } : lookOf(name, contenders)
  return {
    name,
    type: 'line',
    silent: true,
    symbol: look.symbol,
    symbolSize: 9,
    showSymbol: true,
    itemStyle: { color: look.color },
    lineStyle: { color: look.color, width: 2.5, type: isFloor ? 'dashed' : 'solid' },
    data: points,
    // The label stands at the end of the curve, so that readers need no legend.
    endLabel: {
      show: true,
      color: look.color,
      fontSize: 11.5,
      distance: 10,
      padding: [2, 0],
      formatter: `${name}: ${seconds((points.at(-1) ?? 0) * 1000)} s`,
    },
    labelLayout: { moveOverlap: 'shiftY' },
  }
}
