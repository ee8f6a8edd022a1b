/**
 * The bytes that each contender received until each workload was ready, over one network: dots on a
 * logarithmic scale.
 */
import { type Figures, networkText } from './figures.js'
import { fileWordOf } from './file-word.js'
import { BAR_ICON, FAINT, FONT, INK, PAPER, RULE, lookOf, titleOf } from './palette.js'
import type { Chart } from './svg.js'
import type { Network } from '../cold-start/start-record.js'

const WIDTH_PX = 960
const ROW_PX = 27
const HEAD_PX = 104
const FOOT_PX = 52

export function bytesChart(figures: Figures, network: Network): Chart {
  const { workloads, contenders } = figures
  return {
    name: `bytes-${fileWordOf(network.name)}`,
    description: `Megabytes received over ${networkText(network)} until ready for ${workloads.join(', ')}`,
    widthPx: WIDTH_PX,
    heightPx: HEAD_PX + workloads.length * ROW_PX + FOOT_PX,
    option: {
      backgroundColor: PAPER,
      textStyle: { fontFamily: FONT },
      title: titleOf(
        `Cold start: megabytes received until ready, ${networkText(network)}`,
        'Logarithmic scale; touched: compressed size of the bytes that the start really reads',
      ),
      legend: {
        left: 16,
        top: 62,
        selectedMode: false,
        itemWidth: 12,
        itemHeight: 11,
        itemGap: 16,
        textStyle: { color: FAINT, fontSize: 12 },
        data: [...contenders, { name: 'touched', icon: BAR_ICON }],
      },
      grid: { left: 120, right: 40, top: HEAD_PX, bottom: FOOT_PX },
      xAxis: {
        type: 'log',
        name: 'MB',
        nameLocation: 'middle',
        nameGap: 28,
        nameTextStyle: { color: FAINT, fontSize: 12 },
        axisLabel: { color: FAINT, fontSize: 12 },
        splitLine: { lineStyle: { color: RULE } },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: workloads,
        axisTick: { show: false },
        axisLine: { show: false },
        splitLine: { show: true, lineStyle: { color: '#eff2f5' } },
        axisLabel: { color: INK, fontSize: 12.5, interval: 0, width: 104, overflow: 'truncate' },
      },
      series: [
        ...contenders.map((contender) => dots(figures, network.name, contender)),
        {
          name: 'touched',
          type: 'scatter',
          silent: true,
          symbol: 'rect',
          symbolSize: [2.5, 18],
          itemStyle: { color: INK, opacity: 1 },
          data: workloads.flatMap((workload) =>
            dot(figures.floor(network.name, workload)?.touchedBytes, workload),
          ),
        },
      ],
    },
  }
}

function dots(figures: Figures, network: string, contender: string): object {
  const { color, symbol } = lookOf(contender, figures.contenders)
  return {
    name: contender,
    type: 'scatter',
    silent: true,
    symbol,
    symbolSize: 11,
    itemStyle: { color, opacity: 1, borderColor: PAPER, borderWidth: 1 },
    data: figures.workloads.flatMap((workload) =>
      dot(figures.cell(network, workload, contender)?.receivedBytes, workload),
    ),
  }
}

/** A logarithmic axis has no place for 0. */
function dot(bytes: number | undefined, workload: string): readonly object[] {
  return bytes === undefined || bytes <= 0 ? [] : [{ value: [bytes / 1e6, workload] }]
}
