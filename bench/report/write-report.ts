/** The cold-start report as files. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesChart } from './bytes-chart.js'
import { Figures } from './figures.js'
import { markdownOf } from './markdown.js'
import { pageOf } from './page.js'
import { roundTripChart } from './round-trip-chart.js'
import { startChart } from './start-chart.js'
import { type Chart, svgOf } from './svg.js'
import type { ColdStartResult } from '../cold-start/start-record.js'

/**
 * Writes `report.html`, `report.md` and every chart as `NAME.svg`: `starts-NETWORK`,
 * `bytes-NETWORK` and, if there are several networks, `round-trips`. Creates the folder if it is
 * missing, and replaces files with these names. The same result gives the same bytes.
 */
export async function writeReport(result: ColdStartResult, folder: string): Promise<void> {
  const figures = new Figures(result)
  await mkdir(folder, { recursive: true })
  const drawn = new Map<string, readonly string[]>()
  const draw = async (key: string, charts: readonly Chart[]): Promise<void> => {
    const svgs = charts.map(svgOf)
    drawn.set(key, svgs)
    for (const [i, { name }] of charts.entries()) {
      await writeFile(join(folder, `${name}.svg`), `${svgs[i] ?? ''}\n`)
    }
  }
  const overAll = roundTripChart(figures)
  await draw('', overAll === undefined ? [] : [overAll])
  for (const network of figures.networks) {
    await draw(network.name, [startChart(figures, network), bytesChart(figures, network)])
  }
  await writeFile(join(folder, 'report.html'), pageOf(result, figures, drawn))
  await writeFile(join(folder, 'report.md'), markdownOf(result))
}
